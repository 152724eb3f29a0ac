"""What a network is given, looked at before any layer is puzzled by it. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def expect_ids(name: str, clip: Tensor, shape: tuple[int | None, ...], vocabulary: int) -> None:
    """Refuse what are no ids of tokens below `vocabulary`; those on a GPU are not looked at, which would wait."""
    if isinstance(clip, torch.fx.Proxy):
        return  # torch.fx traces without sizes
    sizes = ", ".join(str(want or "frames") for want in shape)
    wanted = f"{name}: expected whole numbers (n, {sizes}), ids of tokens from 0 to {vocabulary - 1}"
    if not isinstance(clip, Tensor):
        raise TypeError(f"{wanted}, got {type(clip).__name__}")
    if clip.ndim != 5 or any(size != want if want else size < 1 for want, size in zip(shape, clip.shape[1:])):
        raise ValueError(f"{wanted}, got {tuple(clip.shape)}")
    if clip.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{wanted}, got {clip.dtype}")
    if clip.device.type == "cpu" and clip.numel() and not torch.compiler.is_compiling() and not torch.jit.is_tracing():
        least, most = int(clip.min()), int(clip.max())
        if least < 0 or most >= vocabulary:
            raise ValueError(f"{wanted}, got ids from {least} to {most}")


def expect(network: nn.Module, name: str, clip: Tensor, shape: tuple[int | None, ...]) -> None:
    """Refuse a clip that the network was not built for; `shape` is (c, t, h, w), with None for any number of frames."""
    if isinstance(clip, torch.fx.Proxy):
        return  # torch.fx traces without sizes
    weight = next(network.parameters(), None)
    dtype = weight.dtype if type(weight) is nn.Parameter else None  # what is sharded or quantised may be cast later
    sizes = ", ".join(str(want or "frames") for want in shape)
    wanted = f"{name}: expected {dtype or 'floats'} (n, {sizes})"
    if not isinstance(clip, Tensor):
        raise TypeError(f"{wanted}, got {type(clip).__name__}")
    if clip.ndim != 5 or any(size != want if want else size < 1 for want, size in zip(shape, clip.shape[1:])):
        raise ValueError(f"{wanted}, got {tuple(clip.shape)}")
    cast = not clip.is_meta and torch.is_autocast_enabled(clip.device.type)
    cast = dtype is None or (cast and torch.float64 not in (dtype, clip.dtype))  # autocast leaves double as it is
    if not clip.is_floating_point() or (clip.dtype != dtype and not cast):
        raise TypeError(f"{wanted}, got {clip.dtype}")


def clips_named(clips: dict[str, Tensor], *names: str) -> list[Tensor]:
    """The clips by their names, or an error unless these are all that is given."""
    if not isinstance(clips, dict | torch.fx.Proxy):
        raise TypeError(f"expected a dict of clips {', '.join(names)}, got {type(clips).__name__}")
    if isinstance(clips, dict) and clips.keys() != set(names):
        raise ValueError(f"expected clips {', '.join(names)}, got {', '.join(map(str, clips))}")
    found = [clips[name] for name in names]
    counts = [clip.shape[0] for clip in found if isinstance(clip, Tensor) and clip.ndim]
    if any(count != counts[0] for count in counts):
        raise ValueError(f"expected as many of each of the clips {', '.join(names)}, got {', '.join(map(str, counts))}")
    return found
