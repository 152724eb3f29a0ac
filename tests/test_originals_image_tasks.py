"""Segmenters and detectors of images, compared with torchvision's and transformers' by outputs with equal weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_originals import near, scatter
from torch import Tensor, nn

import archdsl
from archdsl.language import Arch
from archdsl.training.tasks.boxes.shape_losses import mask_loss, point_loss

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def imported(theirs: nn.Module, arch: Arch, folder: Path) -> nn.Module:
    """Ours with their weights, from a file as its package saves it."""
    torch.save(theirs.state_dict(), folder / "theirs.pth")
    return archdsl.build(arch, weights=folder / "theirs.pth").eval()


SEGMENTERS = [
    ("fcn_r50", "fcn_resnet50"),
    ("deeplabv3_r50", "deeplabv3_resnet50"),
    ("deeplabv3_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"),
]


@pytest.mark.parametrize(("name", "original"), SEGMENTERS)
def test_scores_of_torchvisions_segmenters(torchvision: Any, name: str, original: str, tmp_path: Path) -> None:
    """Of both heads, on a map whose size is no multiple of the stride."""
    torch.manual_seed(0)
    build = getattr(torchvision.models.segmentation, original)
    theirs = build(weights=None, weights_backbone=None, aux_loss=True).eval()
    scatter(theirs)
    ours = imported(theirs, archdsl.load(name, size=97), tmp_path)
    image = torch.randn(2, 3, 1, 97, 97)
    with torch.no_grad():
        got, want = ours(image), theirs(image[:, :, 0])
    near(got["scores"][:, :, 0], want["out"])
    near(got["aux"][:, :, 0], want["aux"])


def test_scores_of_torchvisions_lraspp(torchvision: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    scatter(theirs)
    ours = imported(theirs, archdsl.load("lraspp_mobilenet_v3_large", size=97), tmp_path)
    image = torch.randn(2, 3, 1, 97, 97)
    with torch.no_grad():
        near(ours(image)[:, :, 0], theirs(image[:, :, 0])["out"])


def plain_nms(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """torchvision's operator in plain torch."""
    areas, kept = (boxes[:, 2:] - boxes[:, :2]).prod(1), []
    order = scores.argsort(descending=True, stable=True)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        first, last = torch.maximum(boxes[best, :2], boxes[order, :2]), torch.minimum(boxes[best, 2:], boxes[order, 2:])
        common = (last - first).clamp(min=0).prod(1)
        order = order[~(common / (areas[best] + areas[order] - common) > overlap)]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)


def plain_roi_align(x: Tensor, rois: Tensor, size: Any, scale: float, samples: int, aligned: bool) -> Tensor:
    """torchvision's operator by its samples, a box at a time; one image."""
    assert not aligned
    assert not rois[:, 0].any()
    found = []
    for x1, y1, x2, y2 in (rois[:, 1:] * scale).tolist():
        places = []
        for low, high, cells, length in ((y1, y2, size[0], x.shape[2]), (x1, x2, size[1], x.shape[3])):
            step = max(high - low, 1.0) / cells / samples
            at = low + (torch.arange(cells * samples) + 0.5) * step
            inside, at = (at >= -1) & (at <= length), at.clamp(0, length - 1)
            weights = (1 - (at[:, None] - torch.arange(length)).abs()).clamp(min=0) * inside[:, None]
            places.append(weights.unflatten(0, (cells, samples)).mean(1))
        found.append(places[0] @ x[0] @ places[1].T)
    return torch.stack(found) if found else x.new_zeros(0, x.shape[1], *size)


@pytest.fixture
def detection(torchvision: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchvision's detectors; their two compiled operators, which its wheel lacks on this torch, are plain ones."""
    monkeypatch.setattr("torchvision.ops.boxes.nms", plain_nms)
    monkeypatch.setattr("torchvision.ops.boxes._batched_nms_coordinate_trick", grouped_nms)
    monkeypatch.setattr("torchvision.ops.boxes._batched_nms_vanilla", grouped_nms)
    monkeypatch.setattr(
        "torchvision.ops.poolers.roi_align",
        lambda x, rois, output_size, spatial_scale, sampling_ratio: plain_roi_align(
            x, rois, output_size, spatial_scale, sampling_ratio, aligned=False
        ),
    )
    return torchvision.models.detection


def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    """Within each group alone, best first over all."""
    kept = torch.zeros(0, dtype=torch.long)
    for group in groups.unique():
        places = (groups == group).nonzero()[:, 0]
        kept = torch.cat([kept, places[plain_nms(boxes[places], scores[places], overlap)]])
    return kept[scores[kept].argsort(descending=True, stable=True)]


def sharpened(theirs: nn.Module, *names: str, by: float = 8) -> None:
    """Last layers whose answers differ, so that there is something to choose."""
    scatter(theirs)
    for name in names:
        layer = theirs.get_submodule(name)
        nn.init.normal_(layer.weight, std=by * layer.weight[0].numel() ** -0.5)
        nn.init.normal_(layer.bias, std=0.1)


def same_detections(got: Tensor, want: dict[str, Tensor]) -> int:
    """Ours (6, count), theirs a dict: labels, scores and boxes; gives how many there are."""
    n = len(want["scores"])
    assert got[1, :n].all()
    assert not got[1, n:].any()
    near(got[1, :n], want["scores"])
    rows = torch.cat([want["labels"][:, None], 100 * want["scores"][:, None], want["boxes"]], dim=1)
    mine = torch.cat([got[0, :n, None], 100 * got[1, :n, None], got[2:, :n].T], dim=1)
    apart, other = (mine[:, None] - rows).abs().amax(2).min(1)  # chances that agree to seven digits may swap
    assert float(apart.max()) < 0.02
    assert len(other.unique()) == n
    return n


@pytest.mark.parametrize(
    ("kind", "version"),
    [("fasterrcnn", ""), ("maskrcnn", ""), ("keypointrcnn", ""), ("fasterrcnn", "_v2"), ("maskrcnn", "_v2")],
)
def test_detections_of_torchvisions_region_detectors(detection: Any, kind: str, version: str, tmp_path: Path) -> None:
    """What is said of anchors, of proposals, the boxes that are given, their masks and joints."""
    torch.manual_seed(0)
    sizes = dict(min_size=192, max_size=256, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    theirs = getattr(detection, f"{kind}_resnet50_fpn{version}")(
        weights=None, weights_backbone=None, rpn_post_nms_top_n_test=60, **sizes
    ).eval()
    predictor = "roi_heads.box_predictor"
    sharpened(theirs, "rpn.head.cls_logits", f"{predictor}.cls_score")
    if version:  # norms before it make what it reads small
        sharpened(theirs, f"{predictor}.cls_score", by=300)
    ours = imported(theirs, archdsl.load(f"{kind}_r50_fpn{version}", height=192, width=256, regions=60), tmp_path)
    image = torch.rand(3, 192, 256)
    said: dict[str, Any] = {}
    theirs.rpn.head.register_forward_hook(lambda m, i, y: said.update(rpn=y))
    theirs.roi_heads.box_predictor.register_forward_hook(lambda m, i, y: said.update(box=y))
    for name in ("mask_predictor", "keypoint_predictor"):
        if getattr(theirs.roi_heads, name, None) is not None:
            getattr(theirs.roi_heads, name).register_forward_hook(lambda m, i, y: said.update(fine=y))
    with torch.no_grad():
        got, (want,) = ours(image[None, :, None]), theirs([image])
    scores = torch.cat([x.permute(0, 2, 3, 1).flatten() for x in said["rpn"][0]])
    near(got["anchor_scores"].flatten(), scores)
    near(got["scores"][0, :, 0, :, 0].T, said["box"][0])
    near(got["shifts"][0, :, 0, :, 0].T, said["box"][1])
    n = same_detections(got["detections"][0, :, 0, :, 0], want)
    assert n > 10
    if "fine" in said:
        fine = got["masks" if kind == "maskrcnn" else "keypoints"][0, :, :n].transpose(0, 1)
        torch.testing.assert_close(fine, said["fine"], rtol=1e-3, atol=1e-3 * float(said["fine"].abs().max()))


@pytest.mark.parametrize("version", ["", "_v2"])
def test_detections_of_torchvisions_retinanet(detection: Any, version: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = dict(min_size=192, max_size=256, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    build = getattr(detection, f"retinanet_resnet50_fpn{version}")
    theirs = build(weights=None, weights_backbone=None, **sizes).eval()
    sharpened(theirs, "head.classification_head.cls_logits", "head.regression_head.bbox_reg", by=1 if version else 8)
    ours = imported(theirs, archdsl.load(f"retinanet_r50_fpn{version}", height=192, width=256), tmp_path)
    image, said = torch.rand(3, 192, 256), {}
    theirs.head.register_forward_hook(lambda m, i, y: said.update(y))
    with torch.no_grad():
        got, (want,) = ours(image[None, :, None]), theirs([image])
    near(got["scores"][0, :, 0, :, 0].T, said["cls_logits"][0])
    near(got["shifts"][0, :, 0, :, 0].T, said["bbox_regression"][0])
    assert same_detections(got["detections"][0, :, 0, :, 0], want) > 10


@pytest.mark.parametrize("name", ["ssd300_vgg16", "ssdlite320_mobilenet_v3_large"])
def test_detections_of_torchvisions_single_shots(detection: Any, name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = dict(image_mean=(0, 0, 0), image_std=(1, 1, 1))
    theirs = getattr(detection, name)(weights=None, weights_backbone=None, **plain).eval()
    last = "" if "lite" not in name else ".1"
    for conv in (m for m in theirs.modules() if last and isinstance(m, nn.Conv2d)):
        nn.init.kaiming_normal_(conv.weight)  # its own start is too small to tell places apart
    kinds = ("classification_head", "regression_head")
    sharpened(theirs, *(f"head.{kind}.module_list.{i}{last}" for kind in kinds for i in range(6)))
    ours = imported(theirs, archdsl.load(name), tmp_path)
    size, said = archdsl.load(name).clips["clip"].size, {}
    image = torch.rand(3, size, size)
    theirs.head.register_forward_hook(lambda m, i, y: said.update(y))
    with torch.no_grad():
        got, (want,) = ours(image[None, :, None]), theirs([image])
    near(got["scores"][0, :, 0, :, 0].T, said["cls_logits"][0])
    near(got["shifts"][0, :, 0, :, 0].T, said["bbox_regression"][0])
    assert same_detections(got["detections"][0, :, 0, :, 0], want) > 10


def test_boxes_of_transformers_detr(torchvision: Any, tmp_path: Path) -> None:
    """Classes and boxes of every query, of an image whose map is no square."""
    transformers = pytest.importorskip("transformers", reason="pip install --no-deps transformers==5.24.0 timm")
    torch.manual_seed(0)
    theirs = transformers.DetrForObjectDetection(transformers.DetrConfig(num_labels=91)).eval()
    for name, value in theirs.named_buffers():
        if name.endswith(("running_mean", "bias")):
            nn.init.normal_(value, std=0.1)
        elif name.endswith(("running_var", "weight")):
            nn.init.uniform_(value, 0.5, 1.5)
    for parameter in theirs.model.query_position_embeddings.parameters():
        nn.init.normal_(parameter)
    ours = imported(theirs, archdsl.load("detr_r50", height=96, width=160), tmp_path)
    image = torch.randn(2, 3, 96, 160)
    with torch.no_grad():
        got, want = ours(image[:, :, None]), theirs(image)
    near(got["scores"].flatten(2).mT, want.logits)
    near(got["boxes"].flatten(2).mT, want.pred_boxes)


def samples_of_masks(masks: Tensor, rois: Tensor, size: Any, scale: float) -> Tensor:
    """torchvision's operator for boxes of one mask each, with 4 samples along a side of a cell."""
    rows = []
    for one in rois:
        box = torch.cat([one[:1] * 0, one[1:]])[None]
        rows.append(plain_roi_align(masks[int(one[0])][None], box, size, scale, 4, aligned=False))
    return torch.cat(rows)


@pytest.mark.parametrize("seed", range(3))
def test_losses_of_shapes_are_torchvisions(torchvision: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Of key points exactly; of masks nearly: their targets are interpolated (RoIAlign), ours are shares of cells."""
    theirs = torchvision.models.detection.roi_heads
    monkeypatch.setattr(theirs, "roi_align", samples_of_masks)
    rng = torch.Generator().manual_seed(seed)
    corner = 20 * torch.rand(5, 2, generator=rng)
    boxes = torch.cat([corner, corner + 8 + 20 * torch.rand(5, 2, generator=rng)], 1)
    found = torch.randint(3, (5,), generator=rng)
    points = torch.cat([50 * torch.rand(3, 4, 2, generator=rng), torch.randint(2, (3, 4, 1), generator=rng).float()], 2)
    said = torch.randn(5, 4, 56, 56, generator=rng)
    other = theirs.keypointrcnn_loss(said, [boxes], [points], [found])
    torch.testing.assert_close(point_loss(said, boxes, found, points), other)
    masks = torch.zeros(3, 50, 50)
    masks[0, 5:30, 5:30], masks[1, 20:45, 0:25], masks[2, 10:40, 10:50] = 1, 1, 1
    said, labels = torch.randn(5, 4, 28, 28, generator=rng), torch.tensor([1, 2, 3])
    other = theirs.maskrcnn_loss(said, [boxes], [masks], [labels], [found])
    assert float(mask_loss(said, boxes, found, masks, labels)) == pytest.approx(float(other), abs=0.02)
