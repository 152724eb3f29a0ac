"""Pre-training by masks: what is drawn, losses beside other implementations, runs that are resumed, pictures."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch

import archdsl
from archdsl.blocks import Keep, LayerNorm, Linear, MaskTokens, Mean, Patches, SinePositions, Transformer
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, MaskedFeatures, MaskedPixels, Pathway, Stage
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.rewrites.masks import without_masks
from archdsl.training.data.clips import Batch, ClipRequest
from archdsl.training.data.masks import Masks
from archdsl.training.data.reader.decoder import frame_pixels
from archdsl.training.data.sources.built_in import moving_digits
from archdsl.training.data.sources.pictures import decode_picture
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.state.compatibility import summarize_videos
from archdsl.training.state.snapshot import read_checkpoint_weights
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.masks import MaskedTask
from tests.filmed import film, numbered_frames
from tests.processes import told_by_two
from tests.trained import short


def tiny(head: str = "pixels", classes: int | None = None, kinds: int = 1) -> Arch:
    """A ViT of two blocks over 4 frames of 32 pixels, a quarter of whose 16 tubes is kept; or one that classifies."""
    body = Stage(*[Transformer(heads=2, rotary=head == "features")] * 2)
    tokens = Stage(Patches(kernel=(2, 8, 8), channels=24), *([SinePositions()] if head == "pixels" else []))
    clip = Clip(frames=4, size=32)
    if classes:
        stages = {"tokens": tokens, "body": body, "norm": Stage(LayerNorm()), "pool": Stage(Mean(over="thw"))}
        pathways = {"main": Pathway(stages=stages)}
        return Arch(name="tiny", clip=clip, pathways=pathways, head=Classifier(classes=classes, pool="none"))
    filled = 12 if head == "pixels" else 6
    main_stages = {"tokens": tokens, "keep": Stage(Keep(count=4)), "body": body, "norm": Stage(LayerNorm())}
    positions = [SinePositions()] if head == "pixels" else []
    decoder = {
        "embed": Stage(Linear(channels=16, act="none", init="trunc_normal")),
        "tokens": Stage(MaskTokens(count=filled, kinds=kinds), *positions),
        "body": Stage(Transformer(heads=2, rotary=head == "features")),
    }
    return Arch(
        name="tiny_pretrain",
        clips={"clip": clip, "mask": Clip(modality="mask", frames=1, size=4, channels=2)},
        pathways={"main": Pathway(clip="clip", stages=main_stages), "decoder": Pathway(after="main", stages=decoder)},
        head=MaskedPixels(patch=(2, 8, 8)) if head == "pixels" else MaskedFeatures(channels=24),
    )


def task_of(arch: Arch, **options: Any) -> Any:
    made = recipe("smoke_features").but(task={arch.head.task: options})
    task = task_for(archdsl.compile(arch), made)
    assert isinstance(task, MaskedTask)
    return task


def batch_of(task: Any, count: int = 2) -> Batch:
    """Random clips with masks of the task."""
    clips = {"clip": torch.rand(count, *task.plan.inputs["clip"]) * 2 - 1}
    clips["mask"] = torch.stack([task.masks.drawn(str(i)) for i in range(count)])
    return Batch(clips, torch.zeros(count), torch.ones(count), tuple(range(count)), (), (0.0,), (1.0,), 0.0)


# masks


def masks_of(kind: Any, size: tuple[int, int, int], kept: int, filled: int) -> Masks:
    masks = Masks("mask", size, kept, filled, kind)
    masks.check()
    return masks


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_kept_or_filled_in(seed: int) -> None:
    kept, filled = masks_of("parts", (2, 3, 4), 5, 19).drawn(str(seed))
    assert (kept.sum(), filled.sum()) == (5, 19)
    assert (kept + filled == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_cells_keep_tubes_and_move_from_frame_to_frame(seed: int) -> None:
    """Two of each four neighbours are decoded, after four frames the same ones again (VideoMAE V2)."""
    kept, filled = masks_of("cells", (8, 4, 6), 24, 96).drawn(str(seed))
    assert (kept == kept[0]).all()
    assert kept.sum() == 24
    assert (filled.unflatten(2, (3, 2)).unflatten(1, (2, 2)).sum((2, 4)) == 2).all()
    assert filled[0].equal(filled[4])
    assert not filled[0].equal(filled[1])


def test_blocks_cover_what_is_predicted_and_leave_the_context() -> None:
    """Through all frames, and both kinds are drawn."""
    masks, kinds = masks_of("blocks", (2, 16, 16), 102, 256), set()
    for seed in range(12):
        kept, filled = masks.drawn(str(seed))
        assert kept.sum() >= 102
        assert (filled > 0).sum() >= 256
        assert not (kept * filled).any()
        assert kept[0].equal(kept[1])
        kinds |= set(filled.unique().tolist())
    assert kinds == {0, 1, 2}


def test_masks_that_do_not_fit_the_network_are_refused() -> None:
    for kind, size, kept, filled in (
        ("parts", (1, 2, 2), 3, 2),
        ("cells", (2, 4, 4), 3, 16),
        ("cells", (2, 3, 4), 4, 12),
        ("blocks", (1, 8, 8), 60, 60),
    ):
        with pytest.raises(SpecError, match=f"no masks of kind {kind}"):
            masks_of(kind, size, kept, filled)


def test_masks_are_new_in_training_and_the_same_in_tests() -> None:
    videos = task_of(tiny()).built_in("motion:4", "train")
    first, again, other = (videos.read(1, ClipRequest(s, training=True)).frames["mask"] for s in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    tests = [videos.read(i, ClipRequest(0)).frames["mask"] for i in (1, 1, 2)]
    assert tests[0].equal(tests[1])
    assert not tests[0].equal(tests[2])


def test_built_in_clips_are_those_that_are_classified() -> None:
    """So that what is learnt of them serves."""
    task = task_of(tiny())
    masked = task.built_in("motion:4", "train")
    digits = moving_digits("motion:4", "train", {"clip": task.plan.arch.clips["clip"]})
    for i in range(4):
        seen, want = masked.read(i, ClipRequest(0)), digits.read(i, ClipRequest(0))
        assert seen.frames["clip"].equal(want.frames["clip"])
        assert seen.targets == 0
    still = task.built_in("motion:still:4", "train")
    assert summarize_videos(still).digest != summarize_videos(masked).digest


def test_masked_autoencoders_start_by_the_widths_of_their_layers() -> None:
    """As their authors do: at 0.02 a narrow decoder passes next to no gradient to the encoder."""
    network = archdsl.build(archdsl.load("videomae_vit_s_pretrain", frames=4, size=32))
    for name in ("main.body.3.attend.query", "decoder.body.1.mlp.up", "head.classifier"):
        weights = network.get_parameter(f"{name}.weight")
        most = (6 / sum(weights.shape)) ** 0.5
        assert weights.abs().max() <= most
        assert weights.std().item() == pytest.approx(most / 3**0.5, rel=0.05), name
    tuned = archdsl.build(archdsl.load("videomae_vit_s", frames=4, size=32))
    assert tuned.get_parameter("main.body.3.attend.query.weight").std().item() == pytest.approx(0.02, rel=0.1)


# losses


def by_hand(clip: np.ndarray, said: np.ndarray, mask: np.ndarray, norm: str) -> float:
    """Patches of 2 x 8 x 8 in loops: the mean square error of hidden tubes, frames in front of tubes."""
    errors = []
    order = [(t, h, w) for t in range(2) for h, w in zip(*np.nonzero(mask))]
    for place, (t, h, w) in enumerate(order):
        patch = clip[:, 2 * t : 2 * t + 2, 8 * h : 8 * h + 8, 8 * w : 8 * w + 8].transpose(1, 2, 3, 0).reshape(-1, 3)
        if norm == "channel":
            patch = (patch - patch.mean(0)) / (patch.std(0, ddof=1) + 1e-6)
        elif norm == "patch":
            patch = (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 1e-6)
        errors.append((said.reshape(said.shape[0], -1)[:, place] - patch.reshape(-1)) ** 2)
    return float(np.mean(errors))


@pytest.mark.parametrize("norm", ["channel", "patch", "none"])
def test_the_loss_of_pixels_by_hand(norm: str) -> None:
    task = task_of(tiny(), norm=norm)
    batch, said = batch_of(task), torch.randn(2, 384, 2, 12, 1)
    total = task.amounts(batch).sum()
    assert total == 24
    got = task.loss(said, batch, total).sum()
    pixels = (batch.clips["clip"] * 0.5 + 0.5).numpy().astype(np.float64)  # type: ignore[index]
    masks = batch.clips["mask"][:, 1, 0].numpy()  # type: ignore[index]
    want = [by_hand(pixels[i], said[i].numpy(), masks[i], norm) for i in range(2)]
    assert float(got) == pytest.approx(np.mean(want), rel=1e-5)


def test_only_hidden_parts_count() -> None:
    """V2's decoder fills in places that the encoder sees, too."""
    arch = archdsl.load("videomae_v2_vit_s_pretrain", frames=4, size=64)
    task = task_for(archdsl.compile(arch), recipe("smoke_masked"))
    batch = batch_of(task)
    hidden = task.hidden(batch)  # type: ignore[attr-defined]
    kept, filled = batch.clips["mask"][:, 0] > 0, batch.clips["mask"][:, 1] > 0  # type: ignore[index]
    assert hidden.sum() == (filled & ~kept).sum()
    assert hidden.sum() < filled.sum()
    said = torch.randn(2, 1536, 1, 16, 1, requires_grad=True)
    task.loss(said, batch, task.amounts(batch).sum()).sum().backward()
    assert said.grad is not None
    assert (said.grad.abs().sum((1, 2, 4)) > 0).equal(hidden > 0)


@pytest.mark.parametrize("loss", ["l1", "smooth_l1"])
def test_the_loss_of_features_by_hand(loss: str) -> None:
    """The encoder of whole clips with the weights that were attached, each position to mean 0, variance 1."""
    arch = tiny("features", kinds=2)
    task, network = task_of(arch, loss=loss), archdsl.build(arch)
    task.attach(lambda: dict(network.named_parameters()))
    batch, said = batch_of(task), torch.randn(2, 24, 2, 6, 1)
    encoder = archdsl.build(without_masks(arch)).eval()
    encoder.load_state_dict({name: value for name, value in network.state_dict().items() if name.startswith("main.")})
    with torch.no_grad():
        features = encoder(batch.clips["clip"])  # type: ignore[index]
    features = (features - features.mean(1, keepdim=True)) / (features.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    errors = []
    for one, mask, got in zip(features, batch.clips["mask"], said):  # type: ignore[index]
        places = mask[1].flatten().nonzero()[:6, 0]
        off = (got[..., 0] - one.flatten(2)[:, :, places]).abs()
        errors.append((off if loss == "l1" else torch.where(off < 1, off**2 / 2, off - 0.5)).mean())
    found = task.loss(said, batch, task.amounts(batch).sum()).sum()
    torch.testing.assert_close(found, torch.stack(errors).mean())


def test_features_need_an_average(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a moving average that the recipe does not keep"):
        archdsl.train(tiny("features"), short(), "motion:8", out=tmp_path, device="cpu", quiet=True)


# runs


@pytest.mark.parametrize(("head", "named"), [("pixels", "smoke_masked"), ("features", "smoke_features")])
def test_a_run_is_tested_and_resumed_bit_for_bit(head: str, named: str, tmp_path: Path) -> None:
    """From its second step, with a reader beside it and other micro-batches; `evaluate` finds the run's figure."""
    arch = tiny(head, kinds=1 if head == "pixels" else 2)
    made = recipe(named, steps=4, batch=8).but(log_every=1, save_every=2, average=0.9)
    whole = archdsl.train(arch, made, "motion:16", out=tmp_path / "a", device="cpu", quiet=True)
    copytree(tmp_path / "a", tmp_path / "b")
    first = checkpoints_in(tmp_path / "b")[0]
    again = archdsl.train(
        arch, made, "motion:16", out=tmp_path / "b", device="cpu", quiet=True, resume=first, workers=1
    )
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    assert whole.figures["masked_loss"] > 0
    assert archdsl.evaluate(tmp_path / "a", quiet=True, device="cpu").figures == pytest.approx(whole.figures)


def shared_run(out: Path, rank: int, head: str) -> Any:
    """What each of two processes, or one, ends with."""
    made = recipe("smoke_features", steps=3, batch=8).but(log_every=1)
    arch = tiny(head, kinds=1 if head == "pixels" else 2)
    run = archdsl.train(arch, made, "motion:16", out=out, device="cpu", quiet=True)
    return [float(x.detach().double().square().sum()) for x in run.network.parameters()], run.figures


@pytest.mark.slow
@pytest.mark.parametrize("head", ["pixels", "features"])
def test_two_processes_are_as_one(head: str, tmp_path: Path) -> None:
    alone = shared_run(tmp_path / "one", 0, head)
    for norms, figures in told_by_two(shared_run, tmp_path / "two", head):
        assert norms == pytest.approx(alone[0], rel=1e-4)
        assert figures == pytest.approx(alone[1], rel=1e-4)


def test_networks_choose_their_recipes() -> None:
    assert default_recipe(tiny(), "motion").name == "smoke_masked"
    assert default_recipe(tiny("features"), "motion").name == "smoke_features"
    assert default_recipe(tiny(), "/videos").name == "videomae_pretrain"
    assert default_recipe(tiny("features"), "/videos").name == "vjepa2_pretrain"


def test_fine_tuning_takes_the_encoder(tmp_path: Path) -> None:
    """A network that classifies takes its tokens and body from a run of pre-training, and says what it leaves."""
    archdsl.train(tiny(), short(steps=2), "motion:8", out=tmp_path / "pre", device="cpu", quiet=True)
    tuned = archdsl.train(
        tiny(classes=8),
        short(steps=1, optimizer__rate=1e-9),
        "motion:8",
        out=tmp_path / "tuned",
        weights=tmp_path / "pre",
        device="cpu",
        quiet=True,
    )
    assert tuned.origin is not None
    assert tuned.origin.adapted == {"decoder": "left out, 19 tensors that Tiny has no place for"}
    assert {name.partition(".")[0] for name in tuned.origin.not_taken} == {"head"}
    before = archdsl.build(tiny())
    read_checkpoint_weights(before, checkpoints_in(tmp_path / "pre")[-1])
    weights = dict(before.named_parameters())
    for name, value in tuned.network.named_parameters():
        assert name.startswith("head.") or torch.allclose(value, weights[name], atol=1e-6)


def test_weights_with_other_blocks_are_refused(tmp_path: Path) -> None:
    """Whole parts may differ, not what lies within one."""
    archdsl.train(tiny(), short(steps=1), "motion:8", out=tmp_path / "pre", device="cpu", quiet=True)
    deeper = tiny(classes=8)
    stages = deeper.pathways["main"].stages
    stages = {**stages, "body": Stage(*stages["body"].blocks, *stages["body"].blocks[:1])}
    deeper = deeper.but(pathways={"main": deeper.pathways["main"].but(stages=stages)})
    with pytest.raises(SpecError, match="weights of another network"):
        archdsl.train(
            deeper, short(1), "motion:8", out=tmp_path / "b", weights=tmp_path / "pre", device="cpu", quiet=True
        )


def test_files_of_any_folder_are_learnt_from_and_shown(tmp_path: Path, capsys: Any) -> None:
    """Videos without labels at any depth; pictures of frames, of what is seen of them, of what is put there."""
    for split in ("train", "val"):
        for i in range(2):
            film(tmp_path / "data" / split / "deep" / f"{i}.mp4", numbered_frames(8))
    spec = tmp_path / "tiny.yaml"
    spec.write_text(to_yaml(tiny()))
    out = tmp_path / "run"
    common = ["--device", "cpu", "--quiet"]
    assert (
        main(
            [
                "train",
                str(spec),
                "--recipe",
                "smoke_masked",
                "--data",
                str(tmp_path / "data"),
                "--steps",
                "1",
                "--batch",
                "2",
                "--out",
                str(out),
                *common,
            ]
        )
        == 0
    )
    capsys.readouterr()
    assert main(["data", "check", str(tmp_path / "data"), "--net", str(spec)]) == 0
    video = tmp_path / "data" / "val" / "deep" / "0.mp4"
    assert main(["predict", str(out), str(video), "--pictures", str(tmp_path / "shown"), "--device", "cpu"]) == 0
    assert "masked loss" in capsys.readouterr().out
    picture = next((tmp_path / "shown").rglob("*.masked.png"))
    pixels = decode_picture(picture, "picture", frame_pixels)
    assert pixels.shape[-2:] == (3 * 32, 4 * 32)
