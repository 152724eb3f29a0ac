"""Recurrence over time, one step a frame. The source of each is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backend.runtime.stream import Held


class Scan(Held):
    """Steps through the frames of (n, gates x hidden, t, h, w), each with the state before it."""

    gives = 0

    def __init__(self, gates: int, states: int, hidden: int, kernel: int, bias: bool) -> None:
        super().__init__()
        self.states, self.hidden, self.pad = states, hidden, kernel // 2
        self.weight = nn.Parameter(torch.empty(gates * hidden, hidden, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(gates * hidden)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -((hidden * kernel**2) ** -0.5), (hidden * kernel**2) ** -0.5)

    def forward(self, terms: Tensor, marks: Tensor | None = None) -> Tensor:
        n, _, _, h, w = terms.shape
        state = self.before or (terms.new_zeros(n, self.hidden, h, w),) * self.states
        given = []
        for i, frame in enumerate(terms.unbind(2)):
            if marks is not None:
                state = tuple(part * marks[:, :, i] for part in state)
            state = self.advance(frame, state)
            given.append(state[self.gives])
        if self.streaming:
            self.after = state
        return torch.stack(given, dim=2)

    def advance(self, terms: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The state after one frame."""
        raise NotImplementedError

    def of_state(self, state: Tensor, first: int, last: int) -> Tensor:
        """Terms of the state for some of the gates."""
        rows = slice(first * self.hidden, last * self.hidden)
        bias = None if self.bias is None else self.bias[rows]
        return F.conv2d(state, self.weight[rows], bias, padding=self.pad)


class LstmScan(Scan):
    """i, f, o = sigmoid(terms + W h); g = tanh(terms + W h); c = f c + i g; h = o tanh(c)."""

    def __init__(self, hidden: int, kernel: int = 1, bias: bool = False, cell: bool = False) -> None:
        super().__init__(4, 2, hidden, kernel, bias)
        self.gives = int(cell)

    def advance(self, terms: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = state
        i, f, g, o = (terms + self.of_state(h, 0, 4)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class GruScan(Scan):
    """r, z = sigmoid(terms + W h); n = tanh(terms + U (r h)), or terms + r (U h) for `after`; h = (1 - z) n + z h."""

    def __init__(self, hidden: int, kernel: int = 1, bias: bool = False, after: bool = False) -> None:
        super().__init__(3, 1, hidden, kernel, bias)
        self.reset_after = after

    def advance(self, terms: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = state
        gates, new = terms[:, : 2 * self.hidden], terms[:, 2 * self.hidden :]
        r, z = torch.sigmoid(gates + self.of_state(h, 0, 2)).chunk(2, dim=1)
        past = r * self.of_state(h, 2, 3) if self.reset_after else self.of_state(r * h, 2, 3)
        n = torch.tanh(new + past)
        return ((1 - z) * n + z * h,)
