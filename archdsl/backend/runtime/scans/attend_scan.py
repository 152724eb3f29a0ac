"""An LSTM and a GRU that attend at every step, in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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


class AttendGruScan(nn.Module):
    """r, z = sigmoid(terms + U h + V c); n = tanh(terms + U (r h) + V c); c by softmax(u tanh(keys + W h))."""

    def __init__(self, hidden: int, keys: int, values: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.query = nn.Linear(hidden, keys, bias=False)
        self.score = nn.Linear(keys, 1, bias=False)
        self.state = nn.Linear(hidden, 3 * hidden, bias=False)
        self.context = nn.Linear(values, 3 * hidden, bias=False)

    def forward(self, terms: Tensor, state: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        h, given, gated = state.flatten(1), [], 2 * self.hidden
        keys, values = keys.flatten(2).mT, values.flatten(2).mT
        of_gates, of_new = self.state.weight[:gated], self.state.weight[gated:]
        for step in terms.flatten(3).squeeze(3).unbind(2):
            scores = self.score(torch.tanh(keys + self.query(h)[:, None])).mT
            c = (torch.softmax(scores, dim=2) @ values)[:, 0]
            step = step + self.context(c)
            r, z = torch.sigmoid(step[:, :gated] + F.linear(h, of_gates)).chunk(2, dim=1)
            n = torch.tanh(step[:, gated:] + F.linear(r * h, of_new))
            h = (1 - z) * n + z * h
            given.append(torch.cat([h, c], dim=1))
        return torch.stack(given, dim=2)[..., None, None]
