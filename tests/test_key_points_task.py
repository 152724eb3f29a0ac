"""Key points: losses and metrics by hand, points that move with crops, COCO's files, runs that are resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import Conv, FlattenSpace, Linear, Norm
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, KeyPoints, Pathway, Several, Stage
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.annotations.key_points import (
    KeyPointPersons,
    mirror_of,
    padded_window,
    point_targets,
    window_around,
)
from archdsl.training.data.clips import Batch, ClipRequest, Unreadable
from archdsl.training.data.synthetic.point_scenes import ring_names
from archdsl.training.data.transforms.geometry import cut_of_part
from archdsl.training.evaluation.point_scores import JudgedPoints, PointScores
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.key_points import largest_places, said_places
from tests.filmed import film, numbered_frames
from tests.processes import two_and_one
from tests.trained import ending, losses, short

GROUPS = Norm(kind="group", groups=4)


def tiny_pose(kind: str = "maps", points: int = 4, frames: int = 1) -> Arch:
    """Two small stacks that say maps, or a vector of places."""
    norm = {"norm": GROUPS}
    stem = Stage(
        Conv(channels=16, kernel=(1, 5, 5), stride=(1, 2, 2), **norm),
        Conv(channels=16, kernel=(1, 3, 3), stride=(1, 2, 2), **norm),
    )
    bare = {"norm": Norm(kind="none"), "act": "none", "bias": True}
    if kind == "places":
        stages = {"stem": stem, "joints": Stage(FlattenSpace(), Linear(channels=2 * points, act="none"))}
        pathways, head = {"main": Pathway(stages=stages)}, KeyPoints()
    else:
        deeper = Stage(Conv(channels=16, kernel=(1, 7, 7), **norm), Conv(channels=16, kernel=(1, 7, 7), **norm))
        maps = {name: Stage(Conv(channels=points, **bare)) for name in ("first", "last")}
        pathways = {
            "main": Pathway(stages={"stem": stem, "deeper": deeper}),
            "first": Pathway(after="main.stem", stages={"maps": maps["first"]}),
            "last": Pathway(after="main.deeper", stages={"maps": maps["last"]}),
        }
        head = Several(heads={f"stack{i}": KeyPoints(reads=(name,)) for i, name in enumerate(maps)})
    return Arch(name=f"tiny_{kind}", clip=Clip(frames=frames, size=32), pathways=pathways, head=head)


def task_of(arch: Arch, **options: Any) -> Any:
    return task_for(archdsl.compile(arch), recipe("smoke").but(task={"key_points": options}))


def batch_of(points: Tensor) -> Batch:
    targets = {"points": points, "side": torch.ones(len(points)), "mirror": torch.zeros(len(points), 1)}
    return Batch(torch.zeros(len(points)), targets, torch.ones(len(points)), (), (), (), (), 0.0)


def drawn_points(seed: int, n: int = 3, points: int = 4) -> Tensor:
    """(n, 1, points, 3)"""
    rng = torch.Generator().manual_seed(seed)
    places = 32 * torch.rand(n, 1, points, 2, generator=rng)
    known = torch.randint(2, (n, 1, points, 1), generator=rng).float()
    return torch.cat([places, known], 3)


# losses


@pytest.mark.parametrize("seed", range(3))
def test_places_learn_squares_of_distances(seed: int) -> None:
    """DeepPose: of known joints alone, in sides of the box; x and y of a joint stand side by side."""
    task, points = task_of(tiny_pose("places")), drawn_points(seed)
    said = torch.randn(3, 8, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    batch, wanted, count = batch_of(points), 0.0, 0
    for row, joint, (x, y, known) in ((i, j, points[i, 0, j].tolist()) for i in range(3) for j in range(4)):
        u, v = said[row, 2 * joint : 2 * joint + 2].flatten().tolist()
        wanted += known * ((u - x / 32 + 0.5) ** 2 + (v - y / 32 + 0.5) ** 2)
        count += int(known)
    assert task.amounts(batch).sum() == count
    found = task.loss(said, batch, torch.tensor(float(max(count, 1)))).sum()
    torch.testing.assert_close(found, torch.tensor(wanted / max(count, 1)))


@pytest.mark.parametrize("seed", range(3))
def test_maps_learn_gaussians_at_every_stack(seed: int) -> None:
    task, points = task_of(tiny_pose(), sigma=1.5), drawn_points(seed)
    rng = torch.Generator().manual_seed(seed)
    said = {name: torch.randn(3, 4, 1, 8, 8, generator=rng) for name in ("stack0", "stack1")}
    wanted = torch.zeros(())
    for row, joint in ((i, j) for i in range(3) for j in range(4)):
        x, y, known = points[row, 0, joint].tolist()
        cells = [[(r - y * 8 // 32) ** 2 + (c - x * 8 // 32) ** 2 for c in range(8)] for r in range(8)]
        bump = (-torch.tensor(cells) / (2 * 1.5**2)).exp()
        wanted = wanted + known * sum((one[row, joint, 0] - bump).square().mean() for one in said.values())
    torch.testing.assert_close(task.loss(said, batch_of(points), torch.tensor(1.0)).sum(), wanted)


def test_nothing_known_adds_nothing() -> None:
    points = drawn_points(0) * torch.tensor([1.0, 1.0, 0.0])
    task = task_of(tiny_pose("places"))
    assert task.loss(torch.randn(3, 8, 1, 1, 1), batch_of(points), torch.tensor(1.0)).sum() == 0


# what is said


def test_places_are_read_off_maps() -> None:
    """The middle of the largest element, a quarter towards the larger beside it; at a border not at all."""
    maps = torch.zeros(1, 1, 3, 5, 6)
    maps[0, 0, 0, 2, 3], maps[0, 0, 0, 2, 4], maps[0, 0, 0, 1, 3] = 1.0, 0.5, 0.25
    maps[0, 0, 1, 0, 5] = 2.0
    maps[0, 0, 2, 3, 2], maps[0, 0, 2, 3, 1] = 1.0, 0.5
    places, scores = largest_places(maps)
    assert places[0, 0].tolist() == [[3.75, 2.25], [5.5, 0.5], [2.25, 3.5]]
    assert scores[0, 0].tolist() == [1, 2, 1]


@pytest.mark.parametrize("kind", ["places", "maps"])
def test_what_is_wanted_is_found_again(kind: str) -> None:
    """Outputs equal to the targets are read as the points: of maps within half an element."""
    task, points = task_of(tiny_pose(kind)), drawn_points(3)
    if kind == "places":
        said: Any = (points[..., :2] / 32 - 0.5).permute(0, 2, 3, 1).flatten(1, 2)[..., None, None]
        torch.testing.assert_close(said_places(said), points[..., :2] / 32 - 0.5)
    else:
        maps = task.maps(points, (8, 8)).transpose(1, 2)
        said = {"stack0": torch.zeros_like(maps), "stack1": maps}
    found = torch.stack([one.places for one in task.said(said)])
    assert (found - points[..., :2]).abs().max() < (1e-4 if kind == "places" else 2.01)


def test_points_of_several_frames() -> None:
    """Each frame has points of its own."""
    task = task_of(tiny_pose(frames=3))
    points = torch.cat([drawn_points(seed, 2) for seed in range(3)], dim=1) + torch.tensor([0.0, 0, 1])
    maps = task.maps(points, (8, 8)).transpose(1, 2)
    batch, totals = batch_of(points), torch.tensor(1.0)
    assert task.loss({"stack0": maps, "stack1": maps}, batch, totals).abs().sum() == 0
    assert task.loss({"stack0": maps, "stack1": maps.flip(2)}, batch, totals).sum() > 0


# metrics


def test_figures_by_hand() -> None:
    """Three of four known points within 0.2 of a side of 10; a limb counts where both ends are within half of it."""
    true = torch.tensor([[[0.0, 0, 1], [10, 0, 1], [10, 10, 1], [0, 10, 0]]])
    found = torch.tensor([[[1.0, 0], [10, 2], [10, 16], [50, 50]]])
    judged = JudgedPoints(found, true, 10.0)
    scores = PointScores(("a",), (judged,), ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3)), 0.2)
    assert scores.figures == pytest.approx({"pck": 2 / 3, "pcp": 0.5, "miss_px": (1 + 2 + 6) / 3})
    assert dict(scores.files("t"))["points.csv"].splitlines()[1:] == ["a,1.0000", "b,1.0000", "c,0.0000", "d,nan"]
    assert "pcp" not in PointScores(("a",), (judged,), ("a",), (), 0.2).figures


# data


def test_points_move_with_crops_and_mirror_images() -> None:
    """Left and right change places, and what the crop does not show is not known."""
    task = task_of(tiny_pose("places"))
    points = torch.tensor([[[10.0, 20, 1], [20, 20, 1], [2, 30, 1], [30, 5, 1]]])
    targets = point_targets(points, 12.0, [1, 0, 2, 3])
    cut = cut_of_part((16, 16), (16, 8), (32, 32))
    moved = task.moved(targets, cut)
    assert moved["points"][0].tolist() == [[4, 8, 1], [24, 8, 1], [-12, 28, 0], [44, -22, 0]]
    assert moved["side"] == 24
    assert task.moved(targets, cut.flipped())["points"][0, :2].tolist() == [[8, 8, 1], [28, 8, 1]]


def test_a_ring_and_its_mirror_image() -> None:
    """Names say which point is which in a mirror image, as the scenes do."""
    for many in (1, 2, 5, 14, 16):
        assert mirror_of(ring_names(many)) == [-i % many for i in range(many)]
    assert mirror_of(("nose", "l_knee", "r_knee", "left_eye")) == [0, 2, 1, 3]


def test_a_person_is_cut_out_with_room_around() -> None:
    assert window_around((10, 10, 18, 18), 1.0) == (9, 9, 10, 10)
    assert window_around((0, 0, 8, 4), 1.0) == (-1, -3, 10, 10)
    picture = torch.arange(12.0).view(1, 1, 3, 4)
    assert padded_window(picture, (1, 1, 2, 2)).flatten().tolist() == [5, 6, 9, 10]
    assert padded_window(picture, (-1, 2, 3, 2)).flatten().tolist() == [0, 8, 9, 0, 0, 0]


def test_scenes_are_written_and_read_as_cocos(tmp_path: Path) -> None:
    """The same points in memory and of files, in pixels of what is cut out."""
    net = tmp_path / "net.yaml"
    net.write_text(to_yaml(tiny_pose("places", points=5)))
    given = [str(tmp_path / "data"), "--net", str(net)]
    assert main(["data", "make", "motion", *given, "--count", "4"]) == 0
    assert main(["data", "check", *given]) == 0
    task = task_of(tiny_pose("places", points=5))
    files, memory = task.files(str(tmp_path / "data"), "train"), task.built_in("motion:4", "train")
    assert isinstance(files, KeyPointPersons)
    assert files.classes == memory.classes
    assert files.limbs == memory.limbs
    for i in range(4):
        one, other = (videos.read(i, ClipRequest(0)) for videos in (files, memory))
        moved = one.targets["points"][0, :, :2] - other.targets["points"][0, :, :2]
        assert (moved - moved[0]).abs().max() < 1e-4
        assert one.targets["side"] == other.targets["side"]
        _, _, height, width = one.frames["clip"].shape
        assert height == width >= one.targets["side"]


def coco(root: Path, **changes: Any) -> Path:
    """A list of one person with two points, changed."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    person = {"id": 1, "image_id": 1, "bbox": [0, 0, 8, 8], "keypoints": [1, 1, 2, 7, 7, 0], "num_keypoints": 1}
    data = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [person | changes.get("person", {})],
        "categories": [
            {"id": 1, "name": "person", "keypoints": ["a", "b"], "skeleton": [[1, 2]]} | changes.get("kind", {})
        ],
    }
    (root / "annotations/person_keypoints_train.json").write_text(json.dumps(data))
    return root


@pytest.mark.parametrize(
    ("changes", "what", "where"),
    [
        ({"person": {"keypoints": [1, 2]}}, "cannot parse keypoints", "annotations[0]"),
        ({"person": {"keypoints": [1, 1, 3, 0, 0, 0]}}, "a key point is neither marked nor not", "annotations[0]"),
        ({"person": {"keypoints": ["x", 1, 2, 0, 0, 0]}}, "cannot parse keypoints", "annotations[0]"),
        ({"person": {"bbox": [0, 0, 0, 8]}}, "a box without area", "annotations[0]"),
        ({"person": {"image_id": 9}}, "an annotation of no image", "annotations[0]"),
        ({"person": {"keypoints": [1, 1, 0, 0, 0, 0]}}, "a list without persons", ".json"),
        ({"kind": {"keypoints": ["a", "a"]}}, "two key points of one name", "categories[0]"),
        ({"kind": {"skeleton": [[0, 1]]}}, "skeleton is no list of limbs", "categories[0]"),
        ({"kind": {"keypoints": 5}}, "keypoints are no names", "categories[0]"),
    ],
)
def test_broken_lists_are_named(changes: dict[str, Any], what: str, where: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=what) as caught:
        task_of(tiny_pose("places", points=2)).files(str(coco(tmp_path, **changes)), "train")
    written = caught.value.faults[0].written
    assert written is not None
    assert written.startswith("person_keypoints_train.json")
    assert written.endswith(where)


def test_pictures_that_are_missing_and_networks_that_do_not_fit(tmp_path: Path) -> None:
    task = task_of(tiny_pose("places", points=2))
    with pytest.raises(Unreadable, match="no file"):
        task.files(str(coco(tmp_path)), "train").read(0, ClipRequest(0))
    with pytest.raises(SpecError, match="another number of points than the data"):
        task.check_classes(("a", "b", "c"))
    with pytest.raises(SpecError, match="no folder of persons"):
        task.files(str(tmp_path / "none"), "train")
    with pytest.raises(SpecError, match="points of several views"):
        task_for(task.plan, task.recipe.but(views=task.recipe.views.but(crops=3))).videos("motion", "train")
    odd = tiny_pose("places")
    stages = odd.pathways["main"].stages | {"joints": Stage(FlattenSpace(), Linear(channels=5, act="none"))}
    with pytest.raises(SpecError, match="points without one of their numbers"):
        archdsl.compile(odd.but(pathways={"main": Pathway(stages=stages)}))
    assert default_recipe(tiny_pose(), "motion").name == "smoke"
    assert default_recipe(tiny_pose(), "data").name == "hourglass_mpii"


# runs


def trained(arch: Arch, out: Path, **changes: Any) -> Any:
    made = short(steps=4, augment={"flip": 0.5, "crop": {"jitter": {"short_side": [36, 48]}}}, **changes)
    return archdsl.train(arch, made, "motion:24", out=out, device="cpu", quiet=True)


@pytest.mark.parametrize("kind", ["places", "maps"])
def test_a_run_is_resumed_and_tested_exactly(kind: str, tmp_path: Path) -> None:
    arch = tiny_pose(kind)
    whole = trained(arch, tmp_path / "a", average=0.9)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, out = checkpoints_in(tmp_path / "b")[0], tmp_path / "b"
    again = archdsl.train(arch, whole.recipe, "motion:24", out=out, device="cpu", quiet=True, resume=first, workers=1)
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    assert archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True).figures == pytest.approx(whole.figures)
    trained(arch, tmp_path / "c", average=0.9, optimizer__accumulate=4)
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "c"), rel=1e-4)


def test_points_of_a_video_are_predicted_in_its_pixels(tmp_path: Path) -> None:
    """A frame of 64 x 128 is seen as its middle half; each frame is a picture with a mark for each point."""
    trained(tiny_pose("places"), tmp_path / "run")
    film(tmp_path / "v.mp4", numbered_frames(3, 64, 128))
    (said,) = archdsl.predict(tmp_path / "run", [tmp_path / "v.mp4"], device="cpu")
    frames = said.record()["frames"]
    assert len(frames) == 3
    assert [one["point"] for one in frames[0]["points"]] == ["top", "right_1", "bottom", "left_1"]
    for seen in said.frames:
        whole = seen.places * 2 + torch.tensor([32.0, 0])
        torch.testing.assert_close(seen.whole, whole.clamp(min=0).minimum(torch.tensor([128.0, 64])), atol=1e-3, rtol=0)
    pictures = dict(said.pictures())
    assert pictures["00000.points.svg"].count(b"<rect") == 4
    assert "top" in said.text()


def as_one(out: Path, rank: int, kind: str) -> dict[str, Any]:
    return ending(out / "run", trained(tiny_pose(kind), out / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["places", "maps"])
def test_two_processes_are_as_one(kind: str, tmp_path: Path) -> None:
    two, one = two_and_one(as_one, tmp_path, kind)
    assert two["figures"] == pytest.approx(one["figures"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "steps"), [("places", 300), ("maps", 600)])
def test_small_networks_learn_where_points_are(kind: str, steps: int, tmp_path: Path) -> None:
    """A digit is 6 x 10 pixels: within 2 of each point."""
    made = recipe("smoke_captions", steps=steps).but(log_every=100, task="key_points")
    run = archdsl.train(tiny_pose(kind), made, "motion", out=tmp_path, device="cpu", quiet=True)
    assert run.figures["pck"] > 0.5
