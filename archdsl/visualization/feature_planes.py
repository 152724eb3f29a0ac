"""Clips of a data set as points of a plane, near where the network sees them alike: PCA, and t-SNE."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from archdsl.errors import printable
from archdsl.training.evaluation.boxes.box_pictures import COLOURS
from archdsl.visualization.request import Request, Section

SIDE, MARGIN = 360, 18
"""Pixels of a drawing, and around its points."""
PERPLEXITY = 30
"""Neighbours of each point, at most a quarter of all (arXiv's van der Maaten and Hinton, JMLR 2008, use 5 to 50)."""
NO_TSNE = "t-SNE needs scikit-learn: pip install 'archdsl[visualize]'."


def feature_planes(request: Request) -> Section:
    """The mean of each channel of each layer, in two dimensions; a point's colour is its class."""
    clips = [one for one, _ in request.survey]
    numbers: dict[str, Tensor] = {}
    drawings = []
    for at in request.layers:
        features = torch.stack([values[f"mean {at}"] for _, values in request.survey])
        places, shares = principal_plane(features)
        numbers[f"{at}/features"], numbers[f"{at}/pca"], numbers[f"{at}/pca/shares"] = features, places, shares
        title = f"PCA of {at}: {float(shares.sum()):.0%} of the variance"
        drawings.append(scatter(places, [one.label for one in clips], [one.name for one in clips], title))
        if find_spec("sklearn") and len(features) > 3:
            places = tsne_plane(features, request.seed)
            numbers[f"{at}/tsne"] = places
            title = f"t-SNE of {at}"
            drawings.append(scatter(places, [one.label for one in clips], [one.name for one in clips], title))
    text = "" if find_spec("sklearn") else NO_TSNE
    return Section((), numbers, text, tuple(drawings))


def principal_plane(features: Tensor) -> tuple[Tensor, Tensor]:
    """(places along the two directions of most variance, their shares of it); the larger entries positive.

    (n, c) -> (n, 2), (2,)
    """
    centred = (features - features.mean(0)).double()
    left, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    signs = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign().flatten()
    places = (left * sizes * signs)[:, :2]
    shares = sizes.square() / sizes.square().sum().clamp(min=1e-30)
    short = 2 - places.shape[1]
    return torch.nn.functional.pad(places, (0, short)).float(), torch.nn.functional.pad(shares[:2], (0, short)).float()


def tsne_plane(features: Tensor, seed: int) -> Tensor:
    """t-SNE by scikit-learn.  (n, c) -> (n, 2)"""
    kind = import_module("sklearn.manifold").TSNE
    perplexity = min(PERPLEXITY, max((len(features) - 1) / 4, 1))
    places = kind(perplexity=perplexity, random_state=seed, init="pca").fit_transform(features.numpy())
    return torch.from_numpy(places)


def scatter(places: Tensor, labels: Sequence[str], names: Sequence[str], title: str) -> str:
    """Points as an SVG, whose names show under the pointer."""
    known = [*dict.fromkeys(sorted(labels))]
    low, high = places.amin(0), places.amax(0)
    spots = MARGIN + (places - low) / (high - low).clamp(min=1e-12) * (SIDE - 2 * MARGIN)
    height = SIDE + 16 * (len(known) + 1) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{height}" viewBox="0 0 {SIDE} {height}" '
        'font-family="Helvetica,Arial,sans-serif" font-size="11">',
        f'<rect width="{SIDE}" height="{SIDE}" fill="#fff" stroke="#ccc"/>',
    ]
    for (x, y), label, name in zip(spots.tolist(), labels, names):
        colour = COLOURS[known.index(label) % len(COLOURS)]
        said = escape(printable(f"{name}: {label}" if label else name))
        parts.append(
            f'<circle cx="{x:.1f}" cy="{SIDE - y:.1f}" r="4" fill="{colour}" fill-opacity=".75">'
            f"<title>{said}</title></circle>"
        )
    parts.append(f'<text x="4" y="{SIDE + 14}">{escape(title)}</text>')
    for i, label in enumerate(filter(None, known)):
        colour, top = COLOURS[known.index(label) % len(COLOURS)], SIDE + 16 * (i + 2)
        parts.append(f'<circle cx="9" cy="{top - 4}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="18" y="{top}">{escape(printable(label))}</text>')
    return "\n".join([*parts, "</svg>"])
