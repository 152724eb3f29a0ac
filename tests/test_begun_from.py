"""A new run that begins with the weights of another: all of them, or all but a head of other classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import archdsl
from archdsl.blocks import ClassToken, Patches, Positions, Transformer
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Pathway, Stage, TokenClassifier, change
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.run import Run
from archdsl.training.state.checkpoints import checkpoints_in, read_facts
from tests.trained import DATA, losses, short, small
from tests.trained import entries as log_of


class Few(MovingDigits):
    """Moving digits of which there are two classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        return ("left or right", "else")

    def read(self, index: int, take: Any) -> Any:
        sample = super().read(index, take)
        return sample._replace(targets=sample.targets // 4)


FEW = Few(count=16, seed=0, frames=4, size=32), Few(count=8, seed=1, frames=4, size=32)


def run(out: Path, arch: Any = None, recipe: Any = None, data: Any = DATA, **options: Any) -> Run:
    return archdsl.train(arch or small(), recipe or short(), data, out=out, device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that keeps an average; its weights in one file beside."""
    out = tmp_path_factory.mktemp("from") / "run"
    done = run(out, recipe=short(steps=4, average=0.5))
    save_file({k: v.contiguous() for k, v in done.network.state_dict().items()}, out.parent / "weights.safetensors")
    return out


def still() -> Any:
    """A recipe that moves nothing."""
    return short(steps=1, optimizer__rate=1e-30, optimizer__weight_decay=0.0)


@pytest.mark.parametrize("name", ["run", "checkpoint", "file"])
def test_a_run_begins_with_what_evaluate_would_use(name: str, trained: Path, tmp_path: Path) -> None:
    last = checkpoints_in(trained)[-1]
    weights = {"run": trained, "checkpoint": last, "file": trained.parent / "weights.safetensors"}[name]
    done = run(tmp_path / "new", recipe=still(), weights=weights)
    tensors = archdsl.training.state.initial_weights.network_with_weights(
        archdsl.compile(small()), weights
    ).state_dict()
    for address, tensor in done.network.named_parameters():
        assert torch.equal(tensor, tensors[address]), address
    assert json.loads((tmp_path / "new" / "run.json").read_text())["weights"] == {
        "path": str(weights),
        "not_taken": {},
        "adapted": {},
    }
    fresh = run(tmp_path / "fresh", recipe=still())
    assert not torch.equal(fresh.network.head.classifier.weight, done.network.head.classifier.weight)
    assert json.loads((tmp_path / "fresh" / "run.json").read_text())["weights"] is None


def test_a_head_of_other_classes_is_as_initialised_and_named(trained: Path, tmp_path: Path) -> None:
    two = change(small(), "head.classes", 2)
    done = run(tmp_path / "new", two, still(), FEW, weights=trained)
    plain = run(tmp_path / "plain", two, still(), FEW)
    tensors = archdsl.training.state.initial_weights.network_with_weights(
        archdsl.compile(small()), trained
    ).state_dict()
    assert torch.equal(done.network.main.stem[0].conv.weight, tensors["main.stem.0.conv.weight"])
    assert torch.equal(done.network.head.classifier.weight, plain.network.head.classifier.weight)
    assert json.loads((tmp_path / "new" / "run.json").read_text())["weights"] == {
        "path": str(trained),
        "not_taken": {
            "head.classifier.weight": "got (8, 16), want (2, 16)",
            "head.classifier.bias": "got (8,), want (2,)",
        },
        "adapted": {},
    }


def test_rows_of_the_head_follow_the_names_of_classes(trained: Path, tmp_path: Path) -> None:
    fast = tuple(MovingDigits(one.count, one.seed, frames=4, size=32, speeds=(3, 5, 1)) for one in DATA)
    arch = change(small(), "head.classes", 12)
    done, plain = run(tmp_path / "new", arch, still(), fast, weights=trained), run(tmp_path / "p", arch, still(), fast)
    tensors = archdsl.training.state.initial_weights.network_with_weights(
        archdsl.compile(small()), trained
    ).state_dict()
    rows, old = done.network.head.classifier.weight, tensors["head.classifier.weight"]
    places = {name: DATA[0].classes.index(name) for name in fast[0].classes if name in DATA[0].classes}
    assert len(places) == 8
    for i, name in enumerate(fast[0].classes):
        want = old[places[name]] if name in places else plain.network.head.classifier.weight[i]
        assert torch.equal(rows[i], want), name
    record = json.loads((tmp_path / "new" / "run.json").read_text())["weights"]
    said = "8 of 12 rows by the names of classes"
    assert record["not_taken"] == {}
    assert record["adapted"] == {"head.classifier.weight": said, "head.classifier.bias": said}


def test_a_runs_tables_of_positions_fit_another_clip(tmp_path: Path) -> None:
    def tokens(frames: int, size: int) -> Arch:
        stages = dict(
            tokens=Stage(Patches(kernel=(2, 8, 8), channels=8), ClassToken(), Positions(over=("hw", "t"))),
            body=Stage(Transformer(heads=2, attend=("thw",))),
        )
        pathways = dict(main=Pathway(stages=stages))
        return Arch(name="t", clip=Clip(frames=frames, size=size), pathways=pathways, head=TokenClassifier(classes=8))

    first = run(tmp_path / "first", tokens(4, 32))
    data = tuple(MovingDigits(one.count, one.seed, frames=8, size=16) for one in DATA)
    done = run(tmp_path / "then", tokens(8, 16), still(), data, weights=tmp_path / "first")
    adapted = json.loads((tmp_path / "then" / "run.json").read_text())["weights"]["adapted"]
    assert adapted == {
        "main.tokens.2.positions.hw": "17 -> 5 positions (bicubic)",
        "main.tokens.2.positions.t": "2 -> 4 positions (linear)",
    }
    before, after = (one.network.main.tokens[2].positions for one in (first, done))
    assert torch.equal(after.hw[0], before.hw[0])  # a class token's position stays
    assert torch.allclose(after.t[1], 0.75 * before.t[0] + 0.25 * before.t[1], atol=1e-6)


def test_anything_but_the_head_must_fit(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        run(tmp_path / "new", small(channels=16), weights=trained)
    first, *_ = caught.value.faults
    assert str(first) == (
        "weights of another network\n"
        f"  written {checkpoints_in(trained)[-1]}\n"
        "  got     26 of 26 names shared; 21 of them with other shapes, "
        "such as main.stem.0.conv.weight (8, 3, 3, 5, 5)\n"
        "  want    main.stem.0.conv.weight (16, 3, 3, 5, 5)\n"
        "  fix     use weights of this arch: only those under head may differ"
    )
    assert not checkpoints_in(tmp_path / "new")
    with pytest.raises(SpecError, match="no such file"):
        run(tmp_path / "new", weights=tmp_path / "none.pt")


def test_a_run_that_has_begun_goes_on_without_them(trained: Path, tmp_path: Path, capfd: Any) -> None:
    """Also where they are gone by then; where it began stays known."""
    whole, out, begins = tmp_path / "whole", tmp_path / "part", short(steps=6)
    run(whole, recipe=begins, weights=trained)
    run(out, recipe=begins, weights=trained)
    last = checkpoints_in(out)[-1]
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    archdsl.train(small(), begins, DATA, out=out, device="cpu", weights=tmp_path / "gone.pt")
    said = capfd.readouterr().err
    assert "resuming from step  4 of 6" in said
    assert f"{tmp_path / 'gone.pt'} is not used: --weights starts a new run, in another --out" in said
    assert losses(out) == losses(whole)
    assert len(log_of(out)) == 7
    assert json.loads((out / "run.json").read_text())["weights"]["path"] == str(trained)
    assert read_facts(checkpoints_in(out)[-1]).weights.path == str(trained)


def test_the_command_says_what_it_begins_with(trained: Path, tmp_path: Path, capfd: Any) -> None:
    argv = ["train", str(trained / "arch.yaml"), "--recipe", str(trained / "recipe.yaml"), "--out", str(tmp_path / "n")]
    assert main([*argv, "--weights", str(tmp_path / "none.pt"), "--device", "cpu"]) == 2
    assert "no such file" in capfd.readouterr().err
    assert main([*argv, "--weights", str(trained), "--device", "cpu", "--steps", "1", "--batch", "4"]) == 0
    assert f"initial weights: {trained}" in capfd.readouterr().err


def test_what_a_runs_folder_has_is_shown(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "show", str(trained)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{trained}: 26 tensors of small"
    assert said[2] == f"  classes  8: {', '.join(DATA[0].classes[:4])}, ..."
    assert main(["weights", "show", str(trained.parent)]) == 2
    assert "is not a run's folder" in capsys.readouterr().err
