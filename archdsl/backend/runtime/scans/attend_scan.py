"""An LSTM that attends at every step, in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttendScan(nn.Module):
    """i, f, o = sigmoid(terms + U h + V z); g = tanh(...); z the mean of values by softmax(u tanh(keys + W h) + b)."""

    def __init__(self, hidden: int, keys: int, values: int, gated: bool = True) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, keys, bias=False)
        self.score = nn.Linear(keys, 1)
        self.gate = nn.Linear(hidden, 1) if gated else None
        self.state = nn.Linear(hidden, 4 * hidden, bias=False)
        self.context = nn.Linear(values, 4 * hidden, bias=False)

    def forward(self, terms: Tensor, state: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        h, c = state.flatten(1).chunk(2, dim=1)
        keys, values, given = keys.flatten(2).mT, values.flatten(2).mT, []
        for step in terms.flatten(3).squeeze(3).unbind(2):
            scores = self.score(torch.tanh(keys + self.query(h)[:, None])).mT
            z = (torch.softmax(scores, dim=2) @ values)[:, 0]
            z = z if self.gate is None else torch.sigmoid(self.gate(h)) * z
            i, f, g, o = (step + self.state(h) + self.context(z)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            given.append(torch.cat([h, z], dim=1))
        return torch.stack(given, dim=2)[..., None, None]
