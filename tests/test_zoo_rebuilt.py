"""Transformers that no package has, against their definition written out with reshapes: equal outputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from tests.test_originals_transformers import scattered


class Weights:
    """The weights of a network below an address, and the layers that they belong to."""

    def __init__(self, state: Mapping[str, Tensor], at: str = "") -> None:
        self.state, self.at = state, at

    def __truediv__(self, name: str) -> Weights:
        return Weights(self.state, f"{self.at}.{name}" if self.at else name)

    def __getitem__(self, name: str) -> Tensor:
        return self.state[f"{self.at}.{name}" if self.at else name]

    def get(self, name: str) -> Tensor | None:
        return self.state.get(f"{self.at}.{name}")

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self["weight"].flatten(1), self.get("bias"))

    def norm(self, x: Tensor, eps: float = 1e-6) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self["weight"], self["bias"], eps)

    def attention(self, queries: Tensor, keys: Tensor, heads: int) -> Tensor:
        """(n, a, c), (n, b, c') -> (n, a, c): softmax of scaled products in every head, by the sum over all pairs."""
        q, k, v = ((self / name).linear(x) for name, x in (("query", queries), ("key", keys), ("value", keys)))
        q, k, v = (x.unflatten(2, (heads, -1)) for x in (q, k, v))
        weights = torch.einsum("nahd,nbhd->nhab", q, k) / math.sqrt(q.shape[-1])
        return (self / "out").linear(torch.einsum("nhab,nbhd->nahd", weights.softmax(-1), v).flatten(2))

    def block(self, x: Tensor, heads: int) -> Tensor:
        """A pre-norm transformer block of rows (n, tokens, c)."""
        y = (self / "attend.norm").norm(x)
        x = x + (self / "attend").attention(y, y, heads)
        y = (self / "mlp.up").linear((self / "mlp.norm").norm(x))
        return x + (self / "mlp.down").linear(F.gelu(y))


def compared(name: str, definition: Any, clip: Tensor, **given: Any) -> None:
    """The network's scores of a clip are the definition's, to 1e-5 of the largest."""
    network = scattered(archdsl.build(archdsl.load(name, **given)))
    with torch.no_grad():
        got, want = network(clip), definition(Weights(network.state_dict()), clip)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


MTV_B = {"ti": (8, 3), "s": (4, 6), "b": (2, 12)}
"""Frames of a tubelet and heads of each view; all have 12 layers and read each other before 5 and 11."""


def mtv_b(w: Weights, clip: Tensor) -> Tensor:
    """google-research/scenic, projects/mtv: rows of a batch are groups of steps, which attend alone."""
    n, steps = len(clip), clip.shape[2] // 8
    rows: dict[str, Tensor] = {}
    for view, (tubelet, _) in MTV_B.items():
        at = w / view / "tokens"
        x = F.conv3d(clip, at["0.conv.weight"], at["0.conv.bias"], stride=(tubelet, 16, 16))
        x = torch.cat([at["2.token.weight"].expand(n, -1, -1, -1), x.flatten(3).permute(0, 2, 3, 1)], dim=2)
        rows[view] = (x + at["3.positions.hw"]).reshape(n * steps, -1, x.shape[-1])
    for layer in range(12):
        if layer in (5, 11):
            stage = "body1" if layer == 5 else "body2"
            edges = w / "edges" / stage
            # three norms: the middle view's is that of the edge it sends along and of the one it gets
            at = {"ti": "s_to_ti.query_norm", "s": "s_to_ti.norm", "b": "b_to_s.norm"}
            before = {view: (edges / at[view]).norm(x) for view, x in rows.items()}
            for fine, coarse in (("b", "s"), ("s", "ti")):
                lateral = edges / f"{fine}_to_{coarse}"
                rows[coarse] = rows[coarse] + lateral.attention(before[coarse], before[fine], MTV_B[coarse][1])
        place = f"body1.{layer}" if layer < 5 else f"body2.{layer - 5}" if layer < 11 else "body3.0"
        rows = {view: (w / view / place).block(x, MTV_B[view][1]) for view, x in rows.items()}
    ends = [x.reshape(n, clip.shape[2] // MTV_B[view][0], -1, x.shape[-1])[:, :, 0] for view, x in rows.items()]
    x = torch.cat([end.repeat(1, ends[-1].shape[1] // end.shape[1], 1) for end in ends], dim=-1)
    x = torch.cat([w["all.join.0.token.weight"].expand(n, -1, -1), x], dim=1) + w["all.join.1.positions.thw"]
    for layer in range(12):
        x = (w / f"all.encoder.{layer}").block(x, 8)
    return (w / "head.classifier").linear((w / "head.norm").norm(x)[:, 0])


@pytest.mark.slow
def test_scores_of_mtv() -> None:
    compared("mtv_b", mtv_b, torch.randn(2, 3, 16, 32, 32), frames=16, size=32)


TUBES = (((8, 8, 8), (16, 32, 32), (0, 0, 0)), ((16, 4, 4), (6, 32, 32), (4, 8, 8)))
TUBES += (((4, 12, 12), (16, 32, 32), (0, 16, 16)), ((1, 16, 16), (32, 16, 16), (0, 0, 0)))


def tubevit_b(w: Weights, clip: Tensor) -> Tensor:
    """daniel-code/TubeViT: sines of the middle of each tube, time in the first 256 channels."""
    tokens = []
    tubes = w / "main.tokens.0.tubes"
    for i, (kernel, stride, (t, h, width)) in enumerate(TUBES):
        weight = F.interpolate(tubes["weight"], kernel, mode="trilinear") if i else tubes["weight"]
        x = F.conv3d(clip[:, :, t:, h:, width:], weight, tubes["bias"][i], stride)
        table = torch.zeros(768, *x.shape[2:])
        for place in itertools.product(*map(range, x.shape[2:])):
            middle = [n * s + o + k // 2 for n, s, o, k in zip(place, stride, (t, h, width), kernel)]
            angles = [[at / 10000 ** (j / 128) for j in range(128)] for at in middle]
            values = [[*map(math.sin, axis), *map(math.cos, axis)] for axis in angles]
            table[(slice(None), *place)] = torch.tensor([one for axis in values for one in axis])
        tokens.append((x + table).flatten(2).mT)
    x = torch.cat([w["main.tokens.1.token.weight"].expand(len(clip), -1, -1), *tokens], dim=1)
    for layer in range(12):
        x = (w / f"main.body.{layer}").block(x, 12)
    x = (w / "main.pool.0.norm").norm(x)
    x = ((w / "main.pool.1.pool").linear(x).softmax(dim=1) * x).sum(dim=1)
    return (w / "head.classifier").linear(x)


@pytest.mark.slow
def test_scores_of_tubevit() -> None:
    """26 frames of 64 pixels: 8 and 8 tokens of the deepest, 4 of each other tube and 16 patches."""
    compared("tubevit_b", tubevit_b, torch.randn(2, 3, 26, 64, 64), frames=26, size=64)


def internvideo2_s(w: Weights, clip: Tensor) -> Tensor:
    """OpenGVLab/InternVideo, single_modality: queries and keys are normalised before they part into heads."""

    def rms(at: Weights, x: Tensor) -> Tensor:
        return at["weight"] * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    def read(at: Weights, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        q, k, v = (x.unflatten(2, (heads, -1)) for x in (q, k, v))
        weights = (torch.einsum("nahd,nbhd->nhab", q, k) / math.sqrt(q.shape[-1])).softmax(-1)
        return (at / "out").linear(torch.einsum("nhab,nbhd->nahd", weights, v).flatten(2))

    patches = w / "main.tokens.0.conv"
    x = F.conv3d(clip, patches["weight"], patches["bias"], stride=(1, 14, 14)).flatten(2).mT
    x = torch.cat([w["main.tokens.1.token.weight"].expand(len(clip), -1, -1), x], dim=1)
    x = x + w["main.tokens.2.positions.thw"]
    for layer in range(12):
        at = w / f"main.body.{layer}"
        y = rms(at / "attend.norm", x)
        q, k, v = ((at / f"attend.{name}").linear(y) for name in ("query", "key", "value"))
        q, k = rms(at / "attend.query_norm", q), rms(at / "attend.key_norm", k)
        x = x + read(at / "attend", q, k, v, 6) * at["attend.scale.weight"]
        y = F.gelu((at / "mlp.up").linear(rms(at / "mlp.norm", x)))
        x = x + (at / "mlp.down").linear(y) * at["mlp.scale.weight"]
    at = w / "main.pool.0"
    both = {"query": x.mean(dim=1, keepdim=True), "key": x, "value": x}
    reads = [(at / name).linear((at / f"{name}_norm").norm(y, 1e-5)) for name, y in both.items()]
    x = (w / "main.pool.1.norm").norm(read(at, *reads, 16)[:, 0], 1e-5)
    return (w / "head.classifier").linear(x)


@pytest.mark.slow
def test_scores_of_internvideo2() -> None:
    compared("internvideo2_s", internvideo2_s, torch.randn(2, 3, 3, 42, 42), frames=3, size=42)


def videomamba_ti(w: Weights, clip: Tensor) -> Tensor:
    """OpenGVLab/VideoMamba: a loop over positions that carries the state, on the sequence and on it turned round."""
    patches, n = w / "main.tokens.0.conv", len(clip)
    x = F.conv3d(clip, patches["weight"], patches["bias"], stride=(1, 16, 16))
    table, frames = w["main.tokens.2.positions.hw"], x.shape[2]
    rows = x.flatten(3).permute(0, 2, 3, 1) + table[1:] + w["main.tokens.2.positions.t"][:, None]
    x = torch.cat([(w["main.tokens.1.token.weight"] + table[:1]).expand(n, -1, -1), rows.flatten(1, 2)], dim=1)
    assert x.shape[1] == 1 + frames * (len(table) - 1)

    def rms(at: Weights, x: Tensor) -> Tensor:
        return at["weight"] * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    def scanned(at: Weights, x: Tensor) -> Tensor:
        line = F.pad(x.mT, (3, 0))
        u = F.silu(F.conv1d(line, at["conv.weight"], at["conv.bias"], groups=384).mT)
        step, entry, leave = (at / "terms").linear(u).split([12, 16, 16], dim=-1)
        delta, decay = F.softplus((at / "steps").linear(step)), -at["scan.log_decay"].exp()
        state, ends = torch.zeros(n, 384, 16), []
        for i in range(u.shape[1]):
            state = (delta[:, i, :, None] * decay).exp() * state
            state = state + (delta[:, i] * u[:, i])[..., None] * entry[:, i, None]
            ends.append((state * leave[:, i, None]).sum(-1) + at["scan.skip"] * u[:, i])
        return torch.stack(ends, dim=1)

    for layer in range(24):
        at = w / f"main.body.{layer}"
        y, gate = (at / "enter").linear(rms(at / "norm", x)).chunk(2, dim=-1)
        both = scanned(at / "ahead", y) * F.silu(gate)
        both = both + (scanned(at / "back", y.flip(1)) * F.silu(gate.flip(1))).flip(1)
        x = x + (at / "leave").linear(both)
    return (w / "head.classifier").linear(rms(w / "head.norm", x)[:, 0])


@pytest.mark.slow
def test_scores_of_videomamba() -> None:
    """Five frames of 16 patches: 81 positions, more than are scanned at once."""
    compared("videomamba_ti", videomamba_ti, torch.randn(2, 3, 5, 64, 64), frames=5, size=64)
