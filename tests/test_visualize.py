"""What a network looks at and looks for: each picture's numbers by hand, and a page of all of them."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from archdsl.blocks import ClassToken, Conv, Norm, Patches, Positions, Transformer
from archdsl.cli import main
from archdsl.cli.arguments.visualize_options import variation_weights
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, TokenClassifier
from archdsl.language.recipes.clips import Values
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.ops import Axis, Grid
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.transforms.normalisation import bounds_of, denormalised, normalise
from archdsl.visualization.feature_planes import feature_planes, principal_plane, tsne_plane
from archdsl.visualization.files import encode_gif
from archdsl.visualization.frames import clip_frames, over, over_clip, stacked_again, unstacked
from archdsl.visualization.maps import cam, gradcam
from archdsl.visualization.maximization import FreeClip, maximized, of_unit_length
from archdsl.visualization.methods import VISUAL_METHODS
from archdsl.visualization.page import ShownSection, section_text
from archdsl.visualization.request import Request, VisualTarget, layers_of
from archdsl.visualization.sensitivity import input_gradients, occlusion
from archdsl.visualization.subject import Subject, clips_of_data, subject_of
from archdsl.visualization.velocity import velocity_of
from archdsl.visualization.visualize import silent
from tests.trained import short, small

PLAIN = Norm(kind="none")
"""Without norms a network's numbers can be worked out by hand."""
ONE = (1, 1, 1)


def network(*blocks: Any, head: Any = None, clip: Clip | None = None, name: str = "made") -> Arch:
    """One pathway of one stage."""
    pathways = dict(main=Pathway(stages=dict(body=Stage(*blocks))))
    return Arch(name=name, clip=clip or Clip(frames=4, size=16), pathways=pathways, head=head or Classifier(classes=3))


def asked(subject: Subject, target: VisualTarget | None = None, clips: int = 1, **settings: Any) -> Request:
    """A request for the first built-in clips."""
    data = subject.videos("motion", "val")
    given = dict(layers=None, clips=list(clips_of_data(subject, data, clips)), data=data, track=silent) | settings
    request = Request(subject, target or VisualTarget(subject.scores), **given)
    request.layers = layers_of(request) if request.layers is None else request.layers
    return request


def convolution(act: str = "relu", **fields: Any) -> Conv:
    """A convolution with a bias and no norm."""
    return Conv(**dict(kernel=(3, 3, 3), norm=PLAIN, act=act) | fields)


def hooked(network: torch.nn.Module, at: str, seen: dict[str, Tensor]) -> None:
    """Keep what a module gives."""
    network.get_submodule(at).register_forward_hook(lambda _, __, y: seen.update({at: y}))


@pytest.mark.parametrize("lower", ["none", "auto"])
def test_gradcam_is_its_formula(lower: str) -> None:
    """Beside torch's own hooks and autograd, on the literal network and on a lowered one with the same weights."""
    arch = network(Conv(channels=8, kernel=(3, 3, 3)), Conv(channels=6, kernel=(3, 3, 3), stride=(2, 2, 2)))
    subject = subject_of(arch, seed=1)
    request = asked(subject, VisualTarget(subject.scores, 1), layers=("main.body.0", "main.body.1"))
    other = archdsl.build(arch, lower, train=True).eval()
    other.load_state_dict(subject.network.state_dict())
    seen: dict[str, Tensor] = {}
    for at in request.layers:
        hooked(other, at, seen)
    score = other(request.clips[0].clips["clip"])[0, 1]
    for at, found in zip(request.layers, gradcam(request, request.clips[0])):
        value = seen[at]
        (gradient,) = torch.autograd.grad(score, value, retain_graph=True)
        wanted = (gradient.mean((2, 3, 4), keepdim=True) * value).sum(1).clamp(min=0)[0]
        assert wanted.any()
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-7)


def test_class_maps_add_up_to_the_score() -> None:
    """Of two pathways: each is its maps times the classifier's rows, and their means and the bias are the score."""
    subject = subject_of("slowfast_tiny", seed=2)
    request = asked(subject, VisualTarget(subject.scores, 3))
    one = request.clips[0]
    assert request.layers == ("slow.res4.0.act", "fast.res4.0.act")
    found = cam(request, one)
    row, bias = subject.network.head.classifier.weight[3].flatten(), subject.network.head.classifier.bias[3]
    values = subject.values(one.clips, request.layers)
    for (heat, weights), at, part in zip(found, request.layers, row.split([256, 64])):
        torch.testing.assert_close(weights, part, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(heat, torch.einsum("c,cthw->thw", part, values[at][0]), rtol=1e-3, atol=1e-4)
    score = subject.network(one.clips["clip"])[0, 3]
    torch.testing.assert_close(sum(heat.mean() for heat, _ in found) + bias, score, rtol=1e-4, atol=1e-4)


def tokens() -> Arch:
    """A transformer whose head reads the class token alone."""
    blocks = (Patches(kernel=(1, 8, 8), channels=8), Positions(over=("hw", "t")), ClassToken(), Transformer(heads=2))
    return network(*blocks, Transformer(heads=2), head=TokenClassifier(classes=3), name="tokens")


def test_maps_beside_a_class_token() -> None:
    """The last map is read by nobody, so that the one before the last block is shown; its gradient is of patches."""
    subject = subject_of(tokens())
    request = asked(subject, VisualTarget(subject.scores, 0))
    (at,) = request.layers
    assert at.startswith("main.body.3")
    (heat,) = gradcam(request, request.clips[0])
    assert heat.shape == (4, 2, 2)
    assert heat.any()
    with pytest.raises(archdsl.SpecError, match="no class activation map") as caught:
        cam(request, request.clips[0])
    assert caught.value.faults[0].fix == "--method gradcam"
    request.layers = ("main.body.4",)
    with pytest.raises(archdsl.SpecError, match="no gradient reaches the map") as caught:
        gradcam(request, request.clips[0])
    assert caught.value.faults[0].fix == f"--at {at}"
    with pytest.raises(archdsl.SpecError, match="a rule for ReLUs"):
        input_gradients(request, request.clips[0], "guided")


def test_occlusion_of_what_looks_at_a_corner() -> None:
    subject = subject_of(network(convolution("none", channels=3, kernel=(4, 16, 16), pad="valid")))
    layer = subject.network.get_submodule("main.body.0.conv")
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, :, :2, :4, :4] = 1
    request = asked(subject, VisualTarget("main.body.0", 0), layers=())
    one = request.clips[0]
    drops, heat = occlusion(request, one, "clip")
    x = one.clips["clip"][0]
    corner = [x[:, i, :4, :4].sum() for i in range(4)]
    torch.testing.assert_close(drops[:2, 0, 0], torch.stack(corner[:2]))
    assert not drops[2:].any()
    assert not drops[:, 2:].any()
    assert heat.shape == (4, 16, 16)
    assert not heat[:, 8:, 8:].any()


@pytest.mark.parametrize(("rule", "gates"), [("gradient", "in"), ("guided", "in back"), ("deconv", "back")])
def test_gradients_of_two_layers_by_hand(rule: str, gates: str) -> None:
    """A ReLU passes what goes back where what went in is above 0, where itself is above 0, or both."""
    subject = subject_of(network(convolution(channels=4), convolution(channels=3)), seed=3)
    first, second = (subject.network.get_submodule(f"main.body.{i}.conv").weight for i in range(2))
    request = asked(subject, VisualTarget("main.body.1", 2))
    one = request.clips[0]
    x = one.clips["clip"]
    inner = F.conv3d(x, first, padding=1)
    outer = F.conv3d(inner.relu(), second, padding=1)

    def through(gradient: Tensor, what: Tensor) -> Tensor:
        gradient = gradient * (what > 0) if "in" in gates else gradient
        return gradient.clamp(min=0) if "back" in gates else gradient

    seed = torch.zeros_like(outer)
    seed[:, 2] = 1 / outer[0, 2].numel()
    wanted = F.conv_transpose3d(through(seed, outer), second, padding=1)
    wanted = F.conv_transpose3d(through(wanted, inner), first, padding=1)[0]
    torch.testing.assert_close(input_gradients(request, one, rule)["clip"], wanted)


def linear_unit(signs: Tensor) -> Subject:
    """A network whose first channel is the sum of a clip's pixels, those of each channel and frame with a sign."""
    subject = subject_of(network(convolution("none", channels=1, kernel=(4, 16, 16), pad="valid")))
    with torch.no_grad():
        subject.network.get_submodule("main.body.0.conv").weight.copy_(signs[None, :, :, None, None])
    return subject


def test_a_linear_unit_is_maximal_at_the_ends_of_the_range() -> None:
    """White where its weights are above 0, black where below; with a large weight over time alike in all frames."""
    signs = torch.tensor([[1.0, -1, 1, 1], [-1, -1, 1, -1], [1, 1, 1, 1]])
    subject = linear_unit(signs)
    request = asked(subject, VisualTarget("main.body.0", 0), layers=(), steps=30, spatial=0.0)
    clips, reached = maximized(request, 0, 0.0)
    x = clips["clip"][0]
    pixels = denormalised(x, subject.clips["clip"], subject.recipe.values)
    torch.testing.assert_close(pixels, (127.5 + 127.5 * signs)[:, :, None, None].expand_as(x), rtol=0, atol=1e-3)
    assert reached == pytest.approx(float((x * signs[:, :, None, None]).sum()), rel=1e-4)
    still, lower = maximized(request, 0, 1e6)
    assert lower < reached
    x = still["clip"][0]
    torch.testing.assert_close(x, x[:, :1].expand_as(x), atol=1e-3, rtol=0)
    assert torch.equal(x[:, 0].mean((1, 2)).sign(), signs.sum(1).sign())


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e20])
def test_a_gradient_of_any_size_is_a_step(scale: float) -> None:
    """Of a deep network as initialised it is tiny."""
    gradient = torch.tensor([3.0, -4.0]) * scale
    torch.testing.assert_close(of_unit_length(gradient), torch.tensor([3.0, -4.0]) / 12.5**0.5)
    assert not of_unit_length(torch.zeros(2)).any()
    frames = over(torch.zeros(3, 1, 1, 2, dtype=torch.uint8), torch.tensor([[[0.0, scale]]]))
    assert frames[:, 0, 0, 1].any()


def test_one_step_takes_variation_away_exactly() -> None:
    """The filter's result is where the sum of distance and variation has no gradient."""
    clip = FreeClip(Clip(frames=5, size=8), Values(), list(range(5)))
    x = torch.randn(1, 3, 5, 8, 8, dtype=torch.float64)
    y = clip.smoothed(x, 0.01, 0.7, 1.3).requires_grad_()
    steps = [(y - y.roll(1, axis)).square().sum() for axis in (3, 4)]
    distance = ((y - x).square().sum() + 0.01 * y.square().sum()) / 2
    whole = distance + 0.7 * sum(steps) / 2 + 1.3 * (y[:, :, 1:] - y[:, :, :-1]).square().sum() / 2
    (gradient,) = torch.autograd.grad(whole, y)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-5)


@pytest.mark.parametrize("modality", ["rgb", "gray", "rgb_diff", "flow"])
def test_pixels_come_back(modality: str) -> None:
    clip, values = Clip(frames=2, size=4, modality=modality), Values(mean=(0.2, 0.4, 0.6), std=(0.1, 0.2, 0.3))
    x = torch.rand(clip.shape) * 19
    torch.testing.assert_close(denormalised(normalise(x, clip, values, stored=False), clip, values), x)
    assert clip_frames(x, clip, values).dtype == torch.uint8


def test_a_clip_is_shown_as_it_was_read() -> None:
    """Normalised by the recipe and brought back: pixel by pixel what the data has, whatever mean and std."""
    subject = subject_of(network(Conv(channels=4)), short(values__mean=[0.1, 0.5, 0.7], values__std=[0.2, 0.3, 0.4]))
    data = subject.videos("motion", "val")
    (one,) = clips_of_data(subject, data, 1)
    shown = clip_frames(one.clips["clip"][0], subject.clips["clip"], subject.recipe.values)
    assert torch.equal(shown, data.read(0, ClipRequest(0)).frames["clip"])


def test_stacked_frames_in_the_order_of_time() -> None:
    clip = Clip(frames=2, size=4, modality="flow", channels=6)
    x = torch.arange(6.0)[:, None, None, None].expand(6, 2, 4, 4) + torch.tensor([0.0, 10])[:, None, None]
    rows = unstacked(x, clip)
    assert rows[:, :, 0, 0].tolist() == [[0, 2, 4, 10, 12, 14], [1, 3, 5, 11, 13, 15]]
    assert torch.equal(stacked_again(rows, clip, 2), x)


def test_a_map_lies_over_its_clip_by_its_grid() -> None:
    """Elements at frames 1 and 3, between which it rises; 0 and 4 lie beyond them."""
    time, side = Axis(2, 1, 2), Axis(1, 0, 1)  # type: ignore[arg-type]
    heat = torch.tensor([0.0, 4.0])[:, None, None].expand(2, 1, 1)
    assert over_clip(heat, Grid(time, side, side), (5, 1, 1)).flatten().tolist() == [0, 0, 2, 4, 4]


def test_velocity_of_what_is_known() -> None:
    """Noise that moves two pixels to the left and one down; what stands still before it is not seen."""
    texture = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    moving = torch.stack([texture.roll((t, -2 * t), (1, 2)) for t in range(6)], 1)
    assert velocity_of(moving + 9 * (torch.arange(32) > 5)).tolist() == pytest.approx([-2, 1], abs=0.1)


def test_a_plane_has_the_directions_of_most_variance() -> None:
    features = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 0, 2], [0, 0, -2], [0, 0.0, 0]])
    places, shares = principal_plane(features + 7)
    torch.testing.assert_close(places, features[:, [0, 2]])
    torch.testing.assert_close(shares, torch.tensor([18 / 26, 8 / 26]))


def test_without_scikit_learn_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.visualization.feature_planes.find_spec", lambda name: None)
    request = asked(subject_of(network(Conv(channels=4))))
    request.count = 6
    section = feature_planes(request)
    assert section.text == "t-SNE needs scikit-learn: pip install 'archdsl[visualize]'."
    assert not any(key.endswith("/tsne") for key in section.numbers)
    assert "PCA of main.body.0" in section.drawings[0]


def test_tsne_keeps_neighbours_together() -> None:
    """Two groups far apart: the nearest point of each is of its own group; the same seed gives the same plane."""
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    features = torch.randn(24, 8, generator=torch.Generator().manual_seed(0)) + 20 * (torch.arange(24) % 2)[:, None]
    places = tsne_plane(features, seed=3)
    assert places.shape == (24, 2)
    distances = torch.cdist(places, places).fill_diagonal_(torch.inf)
    assert torch.equal(distances.argmin(1) % 2, torch.arange(24) % 2)
    assert torch.equal(places, tsne_plane(features, seed=3))


# the command


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step."""
    out = tmp_path_factory.mktemp("seen") / "run"
    archdsl.train(small(), short(steps=1), "motion:8", out=out, device="cpu", quiet=True)
    return out


def shown(run: Path | str, out: Path, *options: str) -> int:
    quick = ["--steps", "2", "--count", "6", "--clips", "1", "--top", "2", "--device", "cpu"]
    return main(["visualize", str(run), "-o", str(out), *quick, *options])


def test_a_page_of_everything(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(run, tmp_path, "--class", "left at 3 px per frame", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["left_out"] == {}
    page = Path(told["page"]).read_text(encoding="utf-8")
    assert page.count('src="data:image/gif;base64,') > 8
    assert page.count("src=") == page.count('src="data:image/')
    for word in ("left at 3 px per frame", "recipe smoke: mean 0.5, 0.5, 0.5", "moves ", "PCA of"):
        assert word in page, word
    files = {Path(name).suffix for name in told["files"]}
    assert files == {".html", ".gif", ".mp4", ".npz", ".svg"}
    found = np.load(tmp_path / "maximization.npz")
    assert found["clip/temporal 0"].shape == (3, 4, 32, 32)
    assert 0 <= found["clip/temporal 0"].min() < found["clip/temporal 0"].max() <= 255.001
    assert np.load(tmp_path / "embedding.npz")["main.res2.0.act/features"].shape == (6, 16)
    strengths = np.load(tmp_path / "top.npz")["strengths"]
    assert f"{strengths.max():.3g}: motion" in page


def test_nothing_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all methods those that do not fit are left out and say why; one that is asked for is an error."""
    file = tmp_path / "tokens.yaml"
    file.write_text(to_yaml(tokens()))
    assert shown(str(file), tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "no cam: no class activation map of this network" in told
    assert "no guided: a rule for ReLUs" in told
    assert "nothing is learnt" in (tmp_path / "out/index.html").read_text()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["--class", "left at 3 px"], "no class 'left at 3 px'"),
        (["--class", "8"], "no class '8'"),
        (["--at", "main.res9"], "no value at 'main.res9'"),
        (["--at", "head.scores"], "no map at this address"),
        (["--channel", "3"], "a channel of one address"),
        (["--at", "main.res2", "--channel", "16"], "no such channel"),
        (["--class", "1", "--at", "main.res2", "--channel", "1"], "a class and a channel"),
        (["--method", "gradcams"], "no method 'gradcams'"),
        (["nothing.mp4"], "nothing.mp4 cannot be read"),
    ],
)
def test_what_cannot_be_seen(
    run: Path, tmp_path: Path, given: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(run, tmp_path / "out", *given) == 2
    assert capsys.readouterr().err.startswith(what)


def test_a_moving_picture_is_a_looping_gif() -> None:
    data = encode_gif(torch.randint(0, 255, (3, 5, 8, 10), dtype=torch.uint8))
    assert data.startswith(b"GIF89a")
    assert b"NETSCAPE2.0" in data
    assert int.from_bytes(data[6:8], "little") == 10


@pytest.mark.slow
def test_a_unit_for_left_and_fast_prefers_what_moves_left_and_fast(tmp_path: Path) -> None:
    """Measured on clips made for it, whose speed falls with the weight of time; and on the clips of the data."""
    archdsl.train("slowfast_tiny", "smoke", "motion", out=tmp_path / "run", device="cpu", quiet=True)
    weights = (0.0, 1.0, 10.0)
    options: dict[str, Any] = dict(device="cpu", out=tmp_path / "seen", steps=64, count=64)
    speeds = {}
    for name in ("left at 3 px per frame", "left at 1 px per frame"):
        found = archdsl.visualize(
            tmp_path / "run", class_=name, methods=["maximization", "top"], temporal=weights, **options
        ).sections
        numbers = found["maximization"].numbers
        speeds[name] = [numbers[f"clip/temporal {weight:g}/velocity"] for weight in weights]
        captions = [picture.caption for picture in found["top"].pictures]
        assert all(name in caption for caption in captions), captions
    fast = speeds["left at 3 px per frame"]
    assert fast[0][0] < -2
    assert abs(fast[0][1]) < 1
    lengths = [float(one.norm()) for one in fast]
    assert lengths[0] > lengths[1] > lengths[2], lengths
    assert -2 < speeds["left at 1 px per frame"][0][0] < -0.5
    subject = subject_of("slowfast_tiny", "smoke", tmp_path / "run")
    for name, velocity in ALONG.items():
        found = archdsl.visualize(
            tmp_path / "run", class_=name, methods=["maximization"], temporal=(0.0,), **options
        ).sections
        own = found["maximization"].numbers["clip/temporal 0/velocity"]
        assert F.cosine_similarity(own, velocity, dim=0) > 0.8, (name, own)
        mirrored = 2 * (own @ velocity) / (velocity @ velocity) * velocity - own
        if (own - mirrored).norm() > 2:
            answers = [answer_to_motion(subject, name, one) for one in (own, mirrored)]
            assert answers[0] > answers[1], (name, own, answers)


ALONG = {
    f"{way} at 3 px per frame": torch.tensor(ends)
    for way, ends in {"right": (3.0, 0.0), "left": (-3.0, 0.0), "down": (0.0, 3.0), "up": (0.0, -3.0)}.items()
}
"""Units of four ways, and the motion that each was taught. What a clip moves beside it is the unit's own taste: no unit
was taught to refuse slanted motion."""


def answer_to_motion(subject: Subject, name: str, velocity: Tensor) -> float:
    """What a unit gives for still pictures that are moved, whole pixels at a time, around the edges."""
    clips = clips_of_data(subject, subject.videos("motion", "val"), 16)
    pictures = torch.stack([one.clips["clip"][0, :, 0] for one in clips])
    steps = [(velocity * t).round().int().tolist() for t in range(subject.clips["clip"].frames)]
    moved = torch.stack([pictures.roll((down, right), (2, 3)) for right, down in steps], 2)
    with torch.no_grad():
        return float(subject.network(moved)[:, subject.classes.index(name)].mean())


FAMILIES = {
    "x3d_xs": dict(size=160),
    "tsm_r50": dict(size=64),
    "tsn_bn_inception_flow": {},
    "video_swin_t": dict(frames=8, size=64),
    "vit_s16": {},
    "movinet_a0": dict(frames=8, size=96),
    "r2plus1d_18": dict(frames=8, size=64),
    "slow_4x16_r50_ava": dict(size=64),
    "slowfast_tiny": {},
    "hourglass_1": dict(size=64),
    "clip_vit_b32": {},
    "acoustic_r50": {},
    "stgcn": {},
    "posec3d_slowonly": dict(frames=16),
    "bsn_tem": {},
    "lenet5": {},
    "flownet_s": dict(size=64),
    "s3d_slim": dict(frames=16, size=64),
    "hiera_t_16x224": {},
    "mobilenet_v2": {},
    "zfnet": {},
    "lrcn_caffenet_flow": {},
}
"""Networks of other families, clips and tasks, and how they are made smaller."""
SECONDS = 300
"""What a page of such a network may take, of few steps and few windows, on one busy core."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_the_zoo(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network has maps that a gradient reaches; only what its head or its activations lack is left out."""
    monkeypatch.setattr("archdsl.visualization.sensitivity.WINDOW_PLACES", (1, 2, 2))
    begun = perf_counter()
    arch = archdsl.load(name, **FAMILIES[name])
    found = archdsl.visualize(arch, out=tmp_path, steps=3, temporal=(0.0,), clips=1, count=3, top=2, device="cpu")
    assert perf_counter() - begun < SECONDS
    assert set(found.left_out) <= {"cam", "guided", "deconv"}, found.left_out
    for method, section in found.sections.items():
        for key, value in section.numbers.items():
            assert value.isfinite().all(), (method, key)
    assert any(value.any() for value in found.sections["gradcam"].numbers.values())
    for clip_name, clip in arch.clips.items():
        made, bounds = found.sections["maximization"].numbers.get(f"{clip_name}/temporal 0"), bounds_of(clip, Values())
        if made is not None and bounds:
            assert bounds[0] - 1e-2 <= made.min() < made.max() <= bounds[1] + 1e-2


def test_weights_of_variation_as_they_are_written() -> None:
    assert variation_weights("0, 1e6,0.5") == (0.0, 1e6, 0.5)
    for text in ("-1", "1,1000001", "nan", "1,,2"):
        with pytest.raises(ArgumentTypeError, match="is not a weight from 0 to 1e\\+06"):
            variation_weights(text)


def test_a_method_that_shows_nothing_says_why() -> None:
    text = section_text(ShownSection(VISUAL_METHODS[0], None, (), "a <head> of none"))
    assert "Not shown: a &lt;head&gt; of none" in text
    assert "<figure>" not in text
