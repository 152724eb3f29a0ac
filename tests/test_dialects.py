"""Names of others: patterns, the files of rules, weights there and back."""

from __future__ import annotations

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import pytest
import torch

import archdsl
from archdsl import catalog
from archdsl.backend.weights import Ways, adapted, convert, describe, exported, load_weights, read_weights, translated
from archdsl.backend.weights.translation import laid_out
from archdsl.catalog.dialects import Naming, naming_named, namings
from archdsl.catalog.dialects.patterns import match, written
from archdsl.catalog.dialects.rules import check_naming
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language.recipes.clips import Values
from archdsl.recipes import recipe
from archdsl.report.parameters import weights_of
from archdsl.training.evaluation.evaluate import resolve_network
from archdsl.training.state.initial_weights import network_with_weights
from tests.files_of_weights import models_of, state, there_and_back


@pytest.mark.parametrize(
    ("ours", "theirs", "name", "want"),
    [
        ("{p:slow|fast}.res{s}.{i}.conv_a", "s{s}.pathway{p:0|1}_res{i}.branch2.a", "fast.res3.10.conv_a.weight",
         "s3.pathway1_res10.branch2.a.weight"),
        ("rgb.conv{s}.{i}", "features.{3i+s-1}", "rgb.conv2.4", "features.13"),
        ("rgb.a.{k:weight|bias}", "rgb_a_{k:w|b}", "rgb.a.bias", "rgb_a_b"),
        ("{w:*}.x", "{w}.y{k}", "main.x.3", None),
    ],
)  # fmt: skip
def test_a_pattern_gives_a_name(ours: str, theirs: str, name: str, want: str | None) -> None:
    values = match(ours, name)
    assert values is not None
    assert want is None or written(theirs, values) + str(values["rest"]) == want
    assert match(ours, f"x.{name}") is None


def test_parts_that_lie_before_are_counted() -> None:
    naming = Naming(
        rules={"slow.res{s}.{i}.theta": "s{s}_nl{n-1}", "slow.res{s}.{i}.conv_a": "s{s}_{n}_of_{k}"},
        counts={
            "n": {"of": "slow.res{s}.{i}.conv_a", "per": ["s"]},
            "k": {"of": "slow.res{s}.{i}.conv_a"},
        },
    )
    own = ["slow.res2.0.conv_a", "slow.res2.1.theta", "slow.res2.2.conv_a", "slow.res10.0.conv_a"]
    made = [layout.names[0] for layout in naming.layouts(own).values()]
    assert made == ["s2_0_of_0", "s2_nl0", "s2_1_of_1", "s10_0_of_2"]


def test_a_rule_that_writes_what_it_does_not_read() -> None:
    with pytest.raises(SpecError, match="a rule writes a field that it does not read"):
        check_naming(Naming(rules={"slow.res{s}": "s{t}"}))


@pytest.mark.parametrize("title", [naming.title for naming in namings() if naming.models])
def test_no_two_of_our_tensors_have_one_name(title: str) -> None:
    naming = naming_named(title)
    models = models_of(naming)
    assert all(any(fnmatchcase(name, pattern) for name in models) for pattern in naming.models)
    own = weights_of(archdsl.compile(archdsl.load(models[-1])))
    layouts = naming.layouts(own)
    assert layouts.keys() == own.keys()
    places = [(layout.names, layout.part) for layout in layouts.values()]
    assert len(set(places)) == len(places)
    assert all(naming.knows(name) for layout in layouts.values() for name in layout.names if name)


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5"])
def test_there_and_back(name: str) -> None:
    there_and_back(next(n for n in namings() if name in models_of(n)), name)


def test_a_file_of_others_is_named_read_and_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, path = state("squeezenet1_1"), tmp_path / "squeezenet.pth"
    torch.save({"state_dict": exported(own, naming_named("torchvision/squeezenet1_1"))}, path)
    found = describe(path)
    assert (found.best[0].title, found.best[0].model) == ("torchvision/squeezenet1_1", "squeezenet1_1")
    assert (found.matched, found.total, found.extra) == (len(own), len(own), ())
    made = convert(archdsl.load("squeezenet1_1"), path, tmp_path / "ours.safetensors")
    assert (made.tensors, made.total) == (len(own), len(own))
    for file in (path, tmp_path / "ours.safetensors"):
        network = archdsl.build(archdsl.load("squeezenet1_1"), weights=file)
        assert all(torch.equal(x, own[name]) for name, x in network.state_dict().items())
    assert main(["weights", "show", str(path)]) == 0
    assert "fits     squeezenet1_1: 52 of 52 names and shapes" in capsys.readouterr().out
    assert main(["weights", "convert", str(path)]) == 2


def test_kernels_are_inflated_and_a_first_convolution_is_widened(tmp_path: Path) -> None:
    arch = archdsl.load("slowfast_tiny")
    own = {k: torch.rand(x.shape) for k, x in archdsl.build(arch).state_dict().items() if x.is_floating_point()}
    flat = {k: x[:, :, :1] if x.ndim == 5 else x for k, x in own.items()}
    name = "slow.stem.0.conv.weight"
    torch.save(flat, tmp_path / "flat.pt")
    gray = archdsl.load(arch).but(clips={"clip": arch.clips["clip"].but(modality="gray")}) if arch.clips else arch
    made = convert(gray, tmp_path / "flat.pt", tmp_path / "out.safetensors")
    network = archdsl.build(gray)
    load_weights(network, tmp_path / "out.safetensors")
    assert "3 -> 1 channels (mean)" in made.adapted[name]
    wide = next(k for k, x in own.items() if x.ndim == 5 and x.shape[2] > 1 and "stem" not in k)
    torch.testing.assert_close(network.state_dict()[wide].sum(2), flat[wide][:, :, 0])


def test_cards_name_dialects_of_their_models() -> None:
    found = 0
    for model in catalog.zoo():
        reference = catalog.reference_of(model)
        for one in reference.weights if reference else ():
            found += 1
            assert any(fnmatchcase(model.name, p) for p in naming_named(one.dialect).models), one.file
    assert found > 60


def test_published_weights_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--weights", "slowfast_8x8_r50", "--json"]) == 0
    files = {row["file"]: row["dialect"] for row in json.loads(capsys.readouterr().out)}
    assert files["SLOWFAST_8x8_R50.pyth"] == "pytorchvideo/slowfast"
    assert files["SLOWFAST_8x8_R50.pkl"] == "caffe2/resnet"
    assert main(["show", "slowfast_8x8_r50"]) == 0
    assert (
        "# weights: SLOWFAST_8x8_R50.pyth (pytorchvideo/slowfast): Kinetics-400, top-1 76.94" in capsys.readouterr().out
    )


def test_pixels_are_normalised_as_the_weights_expect(tmp_path: Path) -> None:
    arch, path = archdsl.load("squeezenet1_1"), tmp_path / "squeezenet.pth"
    torch.save(exported(state("squeezenet1_1"), naming_named("torchvision/squeezenet1_1")), path)
    convert(arch, path, tmp_path / "ours.safetensors")
    torch.save(state("squeezenet1_1"), tmp_path / "plain.pt")
    plain = recipe("x3d_k400")
    for file, mean in ((path, 0.485), (tmp_path / "ours.safetensors", 0.485), (tmp_path / "plain.pt", 0.45)):
        assert resolve_network(arch, plain, file)[1].values.mean[0] == mean
    mine = plain.but(values=Values(mean=(0.1, 0.1, 0.1)))
    assert resolve_network(arch, mine, path)[1].values.mean[0] == 0.1


def test_what_a_part_of_a_network_lacks_is_shown(tmp_path: Path) -> None:
    network = archdsl.build(archdsl.load("r3d_18"))
    theirs = exported(network.state_dict(), naming_named("torchvision/video_resnet"))
    torch.save({name: tensor for name, tensor in theirs.items() if "fc" not in name}, tmp_path / "body.pth")
    found = describe(tmp_path / "body.pth")
    assert found.missing == ("head.classifier.weight", "head.classifier.bias")
    assert "  lacks    2: head.classifier.weight, head.classifier.bias" in str(found).splitlines()


def test_a_foreign_file_is_one_line(tmp_path: Path) -> None:
    torch.save(exported(state("squeezenet1_1"), naming_named("torchvision/squeezenet1_1")), tmp_path / "w.pth")
    with pytest.raises(SpecError) as error:
        network_with_weights(archdsl.compile(archdsl.load("slowfast_tiny")), tmp_path / "w.pth")
    (fault,) = error.value.faults
    assert fault.got is not None
    assert fault.got.startswith("0 of ")
    assert fault.got.endswith("; this looks like torchvision/squeezenet1_1, 52 of 52 names and shapes")
    assert fault.fix == "use squeezenet1_1; archdsl weights show w.pth says more"


def test_a_file_of_the_hub_is_fetched_where_its_package_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, asked = state("squeezenet1_1"), []
    torch.save(own, tmp_path / "w.pt")
    monkeypatch.delitem(sys.modules, "archdsl.backend.weights.hub", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as where it is not installed
    with pytest.raises(SpecError, match=r"pip install 'archdsl\[hub\]'"):
        read_weights("hf://owner/name/w.pt")

    class Hub(ModuleType):
        @staticmethod
        def hf_hub_download(repo_id: str, filename: str) -> str:
            asked.append((repo_id, filename))
            if filename == "none.pt":
                raise OSError("404: no such file\nat all")
            return str(tmp_path / "w.pt")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub("huggingface_hub"))
    network = archdsl.build(archdsl.load("squeezenet1_1"), weights="hf://owner/name/some/w.pt")
    assert torch.equal(network.state_dict()["head.classifier.weight"], own["head.classifier.weight"])
    assert asked == [("owner/name", "some/w.pt")]
    with pytest.raises(SpecError, match="404: no such file"):
        read_weights("hf://owner/name/none.pt")
    with pytest.raises(SpecError, match="hf://OWNER/NAME/FILE"):
        read_weights("hf://owner/w.pt")
    monkeypatch.delitem(sys.modules, "archdsl.backend.weights.hub")


def test_a_table_of_two_names_is_joined_and_parted_at_a_row() -> None:
    """Under a leading axis of 1 as under none; back they are parted at the same row."""
    naming = Naming(rules={"main.tokens.2.positions.hw": {"to": ["class_pos", "space_pos"], "leading": 1}})
    (layout,) = naming.layouts(["main.tokens.2.positions.hw"]).values()
    table = torch.arange(15.0).view(5, 3)
    for first, rest in ((table[0], table[1:]), (table[None, :1], table[None, 1:])):
        assert torch.equal(laid_out(layout, {"class_pos": first, "space_pos": rest}, {}), table)
    assert len(laid_out(layout, {"class_pos": torch.tensor(1.0), "space_pos": torch.zeros(4, 3)}, {})) == 4
    back = exported({"main.tokens.2.positions.hw": table}, naming)
    assert [tuple(tensor.shape) for tensor in back.values()] == [(1, 3), (4, 3)]


def test_a_block_of_theirs_is_two_of_ours_or_one_of_a_run_over_stages() -> None:
    for title, ours, theirs in (
        ("authors/uniformer", "main.stage3.6.attend.out.bias", "blocks3.2.attn.proj.bias"),
        ("mmaction2/uniformer", "main.stage2.1.conv.bias", "backbone.blocks2.0.pos_embed.bias"),
        ("authors/hiera", "main.stage3.2.mlp.up.bias", "blocks.7.mlp.fc1.bias"),
    ):
        naming = naming_named(title)
        own = weights_of(archdsl.compile(archdsl.load("hiera_b_16x224" if "hiera" in title else "uniformer_s")))
        assert naming.layouts(own)[ours].names == (theirs,)


@pytest.mark.parametrize("source", ["torchvision", "pyslowfast"])
@pytest.mark.parametrize(("name", "count"), [("mvit_v1_b_16x4", 313), ("mvit_v2_s_16x4", 397)])
def test_as_many_names_as_the_files_of_mvit_have(source: str, name: str, count: int) -> None:
    layouts = naming_named(f"{source}/mvit").layouts(weights_of(archdsl.compile(archdsl.load(name))))
    assert len({one for layout in layouts.values() for one in layout.names}) == count


def test_a_table_under_an_axis_of_1_is_stretched() -> None:
    own = {"main.tokens.1.positions.hw": torch.zeros(16, 3), "main.tokens.1.positions.t": torch.zeros(8, 3)}
    theirs = {"pos_embed_spatial": torch.full((1, 4, 3), 2.0), "pos_embed_temporal": torch.full((1, 8, 3), 3.0)}
    made, notes = adapted(translated(theirs, own).tensors, own, Ways())
    torch.testing.assert_close(made["main.tokens.1.positions.hw"], torch.full((16, 3), 2.0))
    torch.testing.assert_close(made["main.tokens.1.positions.t"], torch.full((8, 3), 3.0))
    assert notes == {"main.tokens.1.positions.hw": "4 -> 16 positions (bicubic)"}


def test_positions_are_interpolated_to_another_clip() -> None:
    """To other frames linearly, to other patches bicubically with the class token kept; a flat table stays flat."""
    ramp = torch.arange(4.0)[:, None].expand(4, 3)
    own = {"main.tokens.2.positions.t": torch.zeros(8, 3), "main.tokens.2.positions.hw": torch.zeros(17, 3)}
    found = {
        "main.tokens.2.positions.t": ramp,
        "main.tokens.2.positions.hw": torch.cat([torch.full((1, 3), 9.0), torch.full((4, 3), 2.0)]),
    }
    made, notes = adapted(found, own, Ways())
    assert made["main.tokens.2.positions.t"][:, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert made["main.tokens.2.positions.hw"].tolist() == [[9.0] * 3, *[[2.0] * 3] * 16]
    assert notes["main.tokens.2.positions.hw"] == "5 -> 17 positions (bicubic)"
    same, none = adapted({"main.positions.hw": torch.zeros(7, 3)}, {"main.positions.hw": torch.zeros(9, 3)}, Ways())
    assert len(same["main.positions.hw"]) == 7
    assert not none


@pytest.mark.parametrize(
    ("before", "after"),
    [((15, 13), (15, 7)), ((15, 13), (7, 13)), ((9, 13), (9, 7)), ((1, 13), (15, 13)), ((15, 15), (7, 7))],
)
def test_relative_positions_are_interpolated_to_another_window(before: tuple[int, int], after: tuple[int, int]) -> None:
    (t, s), (frames, size) = before, after
    place = torch.linspace(-1, 1, s)[None, None, :].expand(t, s, s)  # how far along the width
    table = torch.stack([place.flatten(), torch.ones(t * s * s)], dim=1)
    name = "main.stage1.1.attend.attention.table"
    made, notes = adapted({name: table}, {name: torch.empty(frames * size * size, 2)}, Ways())
    assert notes == {name: f"{t * s * s} -> {frames * size * size} relative positions (trilinear)"}
    wanted = torch.linspace(-1, 1, size)[None, None, :].expand(frames, size, size)
    torch.testing.assert_close(made[name][:, 0], wanted.flatten(), rtol=0, atol=1e-6)
    assert torch.equal(made[name][:, 1], torch.ones(frames * size * size))


def test_a_first_convolution_on_other_channels_by_either_way() -> None:
    kernel = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1, 1)
    name = "rgb.stem.0.conv.weight"
    for channels, way, want in (
        (1, "mean", [3.0]),
        (10, "mean", [3.0] * 10),
        (2, "repeat", [1.5, 3.0]),
        (4, "repeat", [0.75, 1.5, 4.5, 0.75]),
    ):
        others = ("rgb.res2.0.conv_a.weight", "edges.stem.conv.weight", "head.classifier.weight")
        own = {name: torch.zeros(1, channels, 1, 1, 1)} | {other: torch.zeros(1, 5, 1, 1, 1) for other in others}
        found = {name: kernel} | dict.fromkeys(others, kernel)
        made, notes = adapted(found, own, Ways(channels=way))  # type: ignore[arg-type]
        assert made[name].flatten().tolist() == want
        assert all(made[other] is kernel for other in others)
        assert list(notes) == [name]


def test_a_kernel_in_the_middle() -> None:
    made, _ = adapted(
        {"a.b.weight": torch.ones(1, 1, 3, 3)}, {"a.b.weight": torch.zeros(1, 1, 3, 3, 3)}, Ways(inflate="centre")
    )
    assert made["a.b.weight"].sum((0, 1, 3, 4)).tolist() == [0, 9, 0]
