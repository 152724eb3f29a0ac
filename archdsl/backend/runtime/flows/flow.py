"""TV-L1 flow as a layer (arXiv:1810.01455). The source is put into the emitted file: only torch, nn, F, math."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def flow_kernel(rows: list[list[float]], channels: int, dense: bool) -> Tensor:
    """A kernel for every channel; dense ones read all channels and start with the others at 0."""
    kernel = torch.tensor(rows)
    if dense:
        return torch.eye(channels)[:, :, None, None] * kernel
    return kernel.repeat(channels, 1, 1, 1)


def filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """A convolution without padding, of each channel or of all."""
    return F.conv2d(x, kernel.to(x.dtype), groups=x.shape[1] // kernel.shape[1])


class TvL1Flow(nn.Module):
    """(n, c, t, h, w) -> (n, 2c, t - 1, h, w): flow along w, then along h, from each frame to the next."""

    theta: Tensor
    lambda_: Tensor
    tau: Tensor
    gradient_x: Tensor
    gradient_y: Tensor
    forward_x: Tensor
    forward_y: Tensor
    divergence_x: Tensor
    divergence_y: Tensor

    def __init__(
        self,
        channels: int,
        iterations: int = 10,
        dense: bool = False,
        sobel: bool = False,
        learn_gradient: bool = True,
        learn_divergence: bool = True,
        learn_theta: bool = True,
        learn_lambda: bool = True,
        learn_tau: bool = True,
        repeat: bool = False,
        whole_batch: bool = False,
    ) -> None:
        super().__init__()
        self.iterations, self.repeat, self.whole_batch = iterations, repeat, whole_batch
        self.reach = 1 if sobel else 0
        smooth = [0.25, 0.5, 0.25] if sobel else [1.0]
        kernels = {
            "gradient_x": [[-0.5 * s, 0.0, 0.5 * s] for s in smooth],
            "gradient_y": [[d * s for s in smooth] for d in (-0.5, 0.0, 0.5)],
        }
        for name in ("forward", "divergence"):
            kernels |= {f"{name}_x": [[-1.0, 1.0]], f"{name}_y": [[-1.0], [1.0]]}
        for name, rows in kernels.items():
            learnt = learn_gradient if name.startswith("gradient") else learn_divergence
            self.hold(name, flow_kernel(rows, channels, dense), learnt)
        self.hold("theta", torch.tensor([0.3]), learn_theta)
        self.hold("lambda_", torch.tensor([0.15]), learn_lambda)
        self.hold("tau", torch.tensor([0.25]), learn_tau)

    def hold(self, name: str, value: Tensor, learnt: bool) -> None:
        """A parameter where it is learnt, else a buffer."""
        if learnt:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        # masks and quotients of small numbers: half precision has no digits for them
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            images = self.stretched(x.to(torch.promote_types(x.dtype, torch.float32)))
            first, second = (part.transpose(1, 2).flatten(0, 1) for part in (images[:, :, :-1], images[:, :, 1:]))
            flow = torch.unflatten(self.solved(first, second), 0, (-1, x.shape[2] - 1)).transpose(1, 2)
        flow = flow.to(self.theta.dtype)
        return torch.cat([flow, flow[:, :, -1:]], dim=2) if self.repeat else flow

    def stretched(self, x: Tensor) -> Tensor:
        """From 0 to 255, over each clip or the whole batch."""
        axes = (0, 1, 2, 3, 4) if self.whole_batch else (1, 2, 3, 4)
        low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
        return 255 * (x - low) / (high - low).clamp_min(1e-12)

    def solved(self, first: Tensor, second: Tensor) -> Tensor:
        """The flow between images (n, c, h, w): (n, 2c, h, w). It starts at 0; both directions lie in the batch."""
        slope = self.slope(second)
        u = torch.zeros_like(slope)
        dual_x, dual_y = u, u
        for _ in range(self.iterations):
            u, dual_x, dual_y = self.nearer(u, dual_x, dual_y, second - first, slope)
        return torch.cat(u.chunk(2), dim=1)

    def slope(self, image: Tensor) -> Tensor:
        """The image's derivatives (n, c, h, w) along w, then along h in the batch: (2n, c, h, w)."""
        r = self.reach
        along_x = filtered(F.pad(image, (1, 1, r, r), mode="replicate"), self.gradient_x)
        return torch.cat([along_x, filtered(F.pad(image, (r, r, 1, 1), mode="replicate"), self.gradient_y)])

    def nearer(
        self, u: Tensor, dual_x: Tensor, dual_y: Tensor, rest: Tensor, slope: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One iteration: flow (2n, c, h, w) and its duals. Images differ by `rest` where u is 0, linearly elsewhere."""
        theta = self.theta.abs() + 1e-12
        most, pace = self.lambda_ * theta, self.tau / theta
        slope_x, slope_y = slope.chunk(2)
        moved_x, moved_y = (slope * u).chunk(2)
        # the three cases of the threshold step are one: a step along the slope, of bounded length
        steepness = slope_x.square() + slope_y.square() + 1e-12
        step = (-(rest + moved_x + moved_y) / steepness).clamp(-most, most)
        u = u + torch.cat([step, step]) * slope + theta * self.divergence(dual_x, dual_y)
        x = F.pad(filtered(F.pad(u, (0, 1, 0, 0)), self.forward_x)[..., :-1], (0, 1, 0, 0))
        y = F.pad(filtered(F.pad(u, (0, 0, 0, 1)), self.forward_y)[..., :-1, :], (0, 0, 0, 1))
        shrink = 1 + pace * (x.square() + y.square() + 1e-12).sqrt()
        return u, (dual_x + pace * x) / shrink, (dual_y + pace * y) / shrink

    def divergence(self, x: Tensor, y: Tensor) -> Tensor:
        """Backward differences, 0 beyond the borders: minus the adjoint of the forward ones."""
        along_x = filtered(F.pad(x[..., :-1], (1, 1, 0, 0)), self.divergence_x)
        return along_x + filtered(F.pad(y[..., :-1, :], (0, 0, 1, 1)), self.divergence_y)
