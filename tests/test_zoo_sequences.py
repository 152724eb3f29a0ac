"""Networks that write and listen: figures, and recurrences beside torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archdsl
from archdsl import ops
from archdsl.ops import Shape

FIGURES = {
    # by hand from im2txt, the authors' prototxt, the paper's sizes
    "nic": (37_233_344, 5_879_136_864),
    "s2vt": (87_358_668, 3_208_960_000),
    "show_attend_tell": (35_333_450 + 20_024_384, 19_508_428_800 + 104_865_792 + 20 * 27_760_648),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs) == FIGURES[name]


def test_what_writes_of_neuraltalk2() -> None:
    """Its LSTM with two biases, its table, its scores; the layer in front of them."""
    plan = archdsl.compile(archdsl.load("neuraltalk2"))
    writing = [plan.cost_of(part).params for part in ("words.lstm", "words.embed", "head")]
    assert (writing, sum(writing)) == ([2_101_248, 4_898_816, 4_908_384], 11_908_448)
    assert plan.cost_of("image.embed").params == 2_097_664


def test_parts_of_a_captioner() -> None:
    """im2txt: trunk, image embedding, table of words, LSTM, scores; a word costs 8.24 M multiply-adds."""
    plan = archdsl.compile(archdsl.load("nic"))
    costs = [plan.cost_of(part) for part in ("image.embed", "words.embed", "words.lstm", "head")]
    assert [cost.params for cost in costs] == [1_048_576, 6_144_000, 2_099_200, 6_156_000]
    assert costs[2].macs // 21 + costs[3].macs // 20 == 2_097_152 + 6_144_000


def lstm_of(weights: dict[str, torch.Tensor], at: str, biases: int = 1) -> nn.LSTM:
    """torch's own with ours's weights."""
    terms, state = weights[f"{at}.terms.weight"].flatten(1), weights[f"{at}.scan.weight"].flatten(1)
    made = nn.LSTM(terms.shape[1], state.shape[1], batch_first=True)
    other = weights[f"{at}.scan.bias"] if biases == 2 else torch.zeros(len(state))
    made.load_state_dict(
        dict(weight_ih_l0=terms, weight_hh_l0=state, bias_ih_l0=weights[f"{at}.terms.bias"], bias_hh_l0=other)
    )
    return made


def test_a_caption_is_written_as_torch_writes_it() -> None:
    """The image is the first step; what it gives is left out. A later word changes no earlier score."""
    torch.manual_seed(0)
    net = archdsl.load("nic", trunk="resnet50", size=64, length=5, vocabulary=30, width=8)
    network = archdsl.build(net).eval()
    image, words = torch.randn(2, 3, 1, 64, 64), torch.randint(30, (2, 1, 5, 1, 1))
    seen = []
    network.image.embed.register_forward_hook(lambda m, i, y: seen.append(y))
    with torch.no_grad():
        got = network({"clip": image, "text": words})
        w = network.state_dict()
        steps = torch.cat([seen[0].flatten(2).mT, w["words.embed.0.table.weight"][words.flatten(1)]], 1)
        y = lstm_of(w, "words.lstm.0")(steps)[0][:, 1:]
        want = y @ w["head.classifier.weight"].mT + w["head.classifier.bias"]
        torch.testing.assert_close(got, want.mT)
        words[:, :, 3] = (words[:, :, 3] + 1) % 30
        other = network({"clip": image, "text": words})
    torch.testing.assert_close(got[:, :, :3], other[:, :, :3])
    assert not torch.allclose(got[:, :, 3:], other[:, :, 3:])


def test_a_word_is_written_by_what_is_looked_at() -> None:
    """Show, Attend and Tell, a step at a time: scores, a mean by them, an LSTM's cell, what is said."""
    torch.manual_seed(0)
    net = archdsl.load("show_attend_tell", hidden=6, length=3, vocabulary=9, width=5, size=32)
    network = archdsl.build(net).eval()
    image, words = torch.randn(2, 3, 1, 32, 32), torch.randint(9, (2, 1, 3, 1, 1))
    seen = []
    network.image.conv5.register_forward_hook(lambda m, i, y: seen.append(y))
    with torch.no_grad():
        got = network({"clip": image, "text": words})
        w = {k.removeprefix("edges.embed.image_to_words."): v for k, v in network.state_dict().items()}
        a = seen[0].flatten(2).mT

        def linear(name: str, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

        h, c = linear("states", linear("start", a.mean(1)).relu()).tanh().chunk(2, 1)
        keys = linear("keys", linear("key_in", a).tanh())
        cell = nn.LSTMCell(5 + 512, 6)
        inputs = torch.cat([w["terms.weight"], w["scan.context.weight"]], 1)
        start = dict(weight_ih=inputs, weight_hh=w["scan.state.weight"], bias_ih=w["terms.bias"])
        cell.load_state_dict(start | {"bias_hh": torch.zeros(24)})
        for i, word in enumerate(w["words.embed.0.table.weight"][words.flatten(1)].unbind(1)):
            scores = linear("scan.score", (keys + linear("scan.query", h)[:, None]).tanh()).squeeze(2)
            z = linear("scan.gate", h).sigmoid() * (scores.softmax(1)[..., None] * a).sum(1)
            h, c = cell(torch.cat([word, z], 1), (h, c))
            said = (word + linear("of_state", h) + linear("of_attended", z)).tanh()
            want = said @ w["head.classifier.weight"].mT + w["head.classifier.bias"]
            torch.testing.assert_close(got[:, :, i], want)


def test_two_recurrences_read_frames_and_then_words() -> None:
    """S2VT in torch's own LSTMs: zeros for what is not there, a mark while words are read."""
    torch.manual_seed(0)
    net = archdsl.load("s2vt", frames=3, features=6, length=4, vocabulary=9, width=5, hidden=7)
    network = archdsl.build(net).eval()
    frames, words = torch.randn(2, 6, 3, 1, 1), torch.randint(9, (2, 1, 4, 1, 1))
    with torch.no_grad():
        got = network({"clip": frames, "text": words, "stage": torch.ones(2, 1, 4, 1, 1)})
        w = network.state_dict()
        x = frames.flatten(2).mT @ w["video.embed.0.linear.weight"].mT + w["video.embed.0.linear.bias"]
        x = torch.cat([x, torch.zeros(2, 4, 5)], 1)
        said = torch.cat([torch.zeros(2, 3, 6), torch.ones(2, 4, 6)], 1)
        said[:, 3:, :5] = w["words.embed.0.table.weight"][words.flatten(1)]
        y = torch.cat([lstm_of(w, "video.lstm.0")(x)[0], said], 2)
        y = lstm_of(w, "video.write.0")(y)[0][:, 3:]
        torch.testing.assert_close(got, (y @ w["head.classifier.weight"].mT + w["head.classifier.bias"]).mT)


def test_a_listener_reads_both_ways_at_an_eighth_of_the_rate() -> None:
    plan = archdsl.compile(archdsl.load("las_listener", frames=800))
    assert (plan.params, plan.macs) == (8_486_912, 2_319_974_400)
    assert plan.outputs == {"features": (512, 100, 1, 1)}
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("las_listener", frames=8, bands=4, hidden=3, levels=1)).eval()
    x = torch.randn(1, 4, 8, 1, 1)
    with torch.no_grad():
        got, w, y = network(x).flatten(2).mT, network.state_dict(), x.flatten(2).mT
        for at in ("listen.0", "pyramid1.1"):
            onward, back = (lstm_of(w, f"sound.{at}.{side}.0", biases=2) for side in ("onward", "back"))
            y = torch.cat([onward(y)[0], back(y.flip(1))[0].flip(1)], 2)
            if at == "listen.0":  # a channel of both steps side by side
                y = y.unflatten(1, (-1, 2)).transpose(2, 3).flatten(2)
    torch.testing.assert_close(got, y)


def test_sequences_by_hand() -> None:
    join, pad = ops.JoinFrames(), ops.PadFrames(front=2, back=1)
    assert join.out(Shape(3, 4, 1, 1), Shape(3, 2, 1, 1)) == (3, 6, 1, 1)
    assert join.sees((Shape(3, 1, 1, 1),) * 2, ((1,), (2,)), Shape(3, 2, 1, 1)) == (2, 1)
    assert pad.out(Shape(3, 4, 1, 1)) == (3, 7, 1, 1)
    assert pad.sees((Shape(3, 1, 1, 1),), ((1,),), Shape(3, 4, 1, 1)) == (0, 0, 1, 0)
    with pytest.raises(archdsl.SpecError, match="frames that differ in more than their number"):
        join.out(Shape(3, 4, 1, 1), Shape(2, 2, 1, 1))


def test_an_answer_by_hand() -> None:
    """Cyanogenoid/pytorch-vqa: the last cell of a question looks twice at normalised features, of three frames here."""
    arch = archdsl.load("ask_attend_answer", features=6, size=2, frames=3, length=4, vocabulary=9, answers=5)
    network = archdsl.build(arch).eval()
    w = {name: torch.randn_like(value) / 4 for name, value in network.state_dict().items()}
    network.load_state_dict(w)
    clip, ids = torch.randn(2, 6, 3, 2, 2), torch.randint(9, (2, 1, 4, 1, 1))
    h = c = torch.zeros(2, 1024)
    for word in torch.tanh(w["words.embed.0.table.weight"][ids[:, 0, :, 0, 0]]).unbind(1):
        terms = word @ w["words.lstm.0.terms.weight"].flatten(1).T + w["words.lstm.0.terms.bias"]
        terms = terms + h @ w["words.lstm.0.scan.weight"].flatten(1).T + w["words.lstm.0.scan.bias"]
        i, f, g, o = terms.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    places = torch.nn.functional.normalize(clip, dim=1).flatten(2).mT
    at = "edges.lstm.image_to_words."
    asked = c @ w[at + "asked.weight"].T + w[at + "asked.bias"]
    seen = torch.relu(places @ w[at + "seen.weight"].flatten(1).T + asked[:, None])
    weights = (seen @ w[at + "scores.weight"].flatten(1).T + w[at + "scores.bias"]).softmax(dim=1)
    both = torch.cat([(weights.mT @ places).flatten(1), c], dim=1)
    y = torch.relu(both @ w["words.answer.1.linear.weight"].T + w["words.answer.1.linear.bias"])
    want = y @ w["head.classifier.weight"].T + w["head.classifier.bias"]
    with torch.no_grad():
        torch.testing.assert_close(network({"clip": clip, "text": ids}), want, rtol=1e-4, atol=1e-4)


def test_an_answer_costs_what_the_original_does() -> None:
    """23 words of 5,423,104 multiply-adds, and 215,363,584 for what is looked at and the answer."""
    plan = archdsl.compile(archdsl.load("ask_attend_answer"))
    assert (plan.params, plan.macs) == (19_882_502, 23 * 5_423_104 + 215_363_584)


def test_a_sentence_is_translated_by_hand() -> None:
    """RNNsearch: gates keep the state when open; a word is told by the state that has read the one before it."""
    torch.manual_seed(0)
    sizes = dict(length=3, written=4, vocabulary=7, width=4, hidden=6)
    network = archdsl.build(archdsl.load("rnnsearch", **sizes)).eval()
    w = {name: torch.randn_like(value) / 2 for name, value in network.state_dict().items()}
    network.load_state_dict(w)
    flat = {name: value.flatten(1) if value.ndim > 2 else value for name, value in w.items()}

    def gru(h: torch.Tensor, terms: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        r, z = (terms[:, :12] + h @ state[:12].T).sigmoid().chunk(2, dim=1)
        return (1 - z) * (terms[:, 12:] + (r * h) @ state[12:].T).tanh() + z * h

    source, text = torch.randint(7, (2, 1, 3, 1, 1)), torch.randint(7, (2, 1, 4, 1, 1))
    words, ways = w["sentence.embed.0.table.weight"][source.flatten(1)], []
    for way, order in (("onward", 1), ("back", -1)):
        at, h, states = f"sentence.read.0.{way}.0.", torch.zeros(2, 6), []
        for word in [*words.unbind(1)][::order]:
            h = gru(h, word @ flat[at + "terms.weight"].T + w[at + "terms.bias"], flat[at + "scan.weight"])
            states.append(h)
        ways.append(torch.stack(states[::order], 1))
    read, at = torch.cat(ways, dim=2), "edges.embed.sentence_to_words."
    h = (ways[1][:, 0] @ w[at + "start.weight"].T + w[at + "start.bias"]).tanh()
    keys, told = read @ w[at + "keys.weight"].T, []
    for word in w["words.embed.0.table.weight"][text.flatten(1)].unbind(1):
        scores = (keys + (h @ w[at + "scan.query.weight"].T)[:, None]).tanh() @ w[at + "scan.score.weight"].T
        c = (scores.softmax(dim=1) * read).sum(1)
        terms = word @ w[at + "terms.weight"].T + w[at + "terms.bias"] + c @ w[at + "scan.context.weight"].T
        h = gru(h, terms, w[at + "scan.state.weight"])
        y = torch.cat([word, h, c], 1) @ w["words.tell.0.linear.weight"].T + w["words.tell.0.linear.bias"]
        told.append(torch.maximum(y[:, :3], y[:, 3:]) @ w["head.classifier.weight"].T + w["head.classifier.bias"])
    with torch.no_grad():
        got = network({"source": source, "text": text})
    torch.testing.assert_close(got, torch.stack(told, dim=2), rtol=1e-4, atol=1e-4)


def test_a_translation_costs_what_its_layers_do() -> None:
    """50 words of 30,630,000 multiply-adds, two GRUs over 50 words, their keys, the first state."""
    plan = archdsl.compile(archdsl.load("rnnsearch"))
    each = 10**6 + 50 * (1000 + 2000) + 3 * 3620 * 1000 + 1000 * 3620 + 500 * 30000
    once = 2 * 50 * 3 * 1620 * 1000 + 50 * 2000 * 1000 + 10**6
    assert (plan.params, plan.macs) == (80_442_000, 50 * each + once)
