"""Every dialect by a file as its source writes it: shown, converted, built from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.backend.weights import convert, describe, exported
from archdsl.backend.weights.containers import contents_of
from archdsl.backend.weights.fit import COUNTER
from archdsl.backend.weights.translation import best_naming
from archdsl.catalog.dialects import naming_named, namings
from archdsl.cli import main
from archdsl.report.parameters import weights_of
from tests.files_of_weights import models_of, of_vjepa2, smallest_of, state, there_and_back, write_as_theirs

MOST_PARAMS = 130_000_000
"""Parameters of a network that is copied there and back: a larger one of the same rules shows nothing more."""
PROGRESS = {
    "pyslowfast": "epoch 195",
    "pytorchvideo": "epoch 195",
    "mmaction2": "epoch 100, iteration 3000",
}
X = torch.zeros(())
TITLES = [naming.title for naming in namings() if naming.models]


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_every_dialect_there_and_back(title: str) -> None:
    naming = naming_named(title)
    for name in models_of(naming):
        if archdsl.compile(archdsl.load(name)).params < MOST_PARAMS:
            there_and_back(naming, name)


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_every_dialect_by_a_file(title: str, tmp_path: Path) -> None:
    naming = naming_named(title)
    name = smallest_of(naming)
    own = state(name)
    path = write_as_theirs(exported(own, naming), naming, tmp_path)
    found = describe(path)
    same = {one.model for one in found.best}
    assert name in same
    assert found.best[0].title.partition("/")[0] in (naming.source, "torchvision")
    assert (found.missing, PROGRESS.get(naming.source, "") in str(found)) == ((), True)
    arch = archdsl.load(name)
    made = convert(arch, path, tmp_path / "ours.safetensors")
    assert made.tensors + sum(k.endswith(COUNTER) for k in own) >= made.total
    for file in (path, tmp_path / "ours.safetensors"):
        network = archdsl.build(arch, weights=file)
        assert all(torch.equal(x, own[k]) for k, x in network.state_dict().items() if not k.endswith(COUNTER))


@pytest.mark.slow
def test_an_attentive_probe_lies_beside_its_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """facebookresearch/vjepa2 saves probes, of several settings of their training, without the encoder."""
    own = state("vjepa2_vitl_k400")
    theirs = exported(own, naming_named("authors/vjepa2_classifier"))
    probe = {name: x for name, x in theirs.items() if name.startswith(("pooler.", "linear."))}
    torch.save(of_vjepa2({k: x for k, x in theirs.items() if k not in probe}), tmp_path / "vitl.pt")
    probes = [{f"module.{name}": x for name, x in probe.items()}, {}]
    torch.save({"classifiers": probes, "opt": [{}], "epoch": 20}, tmp_path / "probe.pt")
    encoder, probe_file, out = (str(tmp_path / name) for name in ("vitl.pt", "probe.pt", "ours.safetensors"))
    assert main(["weights", "show", encoder]) == 0
    said = capsys.readouterr().out
    assert "  read     target_encoder (averaged), epoch 240, beside encoder\n" in said
    assert "authors/vjepa2 " in said
    command = ["weights", "convert", encoder, "vjepa2_vitl_k400", "-o", out]
    assert main(command) == 2
    assert main([*command, "--beside", encoder]) == 2
    assert "two files have the same weights" in capsys.readouterr().err
    assert main([*command, "--beside", probe_file]) == 0
    network = archdsl.build(archdsl.load("vjepa2_vitl_k400"), weights=out)
    assert all(torch.equal(x, own[name]) for name, x in network.state_dict().items())


def test_as_many_names_as_the_files_of_vjepa2_have() -> None:
    own = weights_of(archdsl.compile(archdsl.load("vjepa2_vitl_pretrain")))
    for title, count in (("authors/vjepa2_pretrain", 292 + 160), ("huggingface/vjepa2_pretrain", 388 + 199)):
        layouts = naming_named(title).layouts(own)
        assert len({name for layout in layouts.values() for name in layout.names}) == count


@pytest.mark.parametrize("name", ["vjepa2_vitl", "vjepa2_vitl_predictor", "vjepa2_vitl_pretrain"])
@pytest.mark.parametrize("source", ["authors", "huggingface"])
def test_a_part_of_a_network_is_read_from_the_file_of_all(name: str, source: str) -> None:
    whole, own = (weights_of(archdsl.compile(archdsl.load(one))) for one in ("vjepa2_vitl_pretrain", name))
    layouts = naming_named(f"{source}/vjepa2_pretrain").layouts(whole).values()
    found = best_naming(own, [name for layout in layouts for name in layout.names])
    assert found is not None
    assert found.title == f"{source}/{name.replace('_vitl', '')}"


@pytest.mark.parametrize(
    ("file", "names", "said"),
    [
        ({"state_dict": {"module.a": X}, "epoch": 3, "best_prec1": 0.5}, ["a"], "state_dict, epoch 3"),
        ({"meta": {"epoch": 12, "iter": 3000}, "state_dict": {"a": X}}, ["a"], "state_dict, epoch 12, iteration 3000"),
        ({"model": {"a": X}, "model_ema": {"a": X}}, ["a"], "model, beside model_ema (averaged)"),
        ({"model_ema": {"module": {"a": X}}, "epoch": 1.0}, ["a"], "model_ema/module (averaged), epoch 1"),
        ({"state_dict": {"a": X}, "epoch": 10**400, "global_step": True}, ["a"], "state_dict"),
        ({"a": X, "backbone.b": X}, ["a", "backbone.b"], ""),
        ({"module.backbone.a": X, "module.head.b": X}, ["backbone.a", "head.b"], ""),
        ({"ema_encoder": {"module.backbone.a": X}, "predictor": {"module.backbone.predictor_b": X, "odd": X}},
         ["predictor_b", "a"], "ema_encoder (averaged)"),
    ],
)  # fmt: skip
def test_where_weights_lie_in_a_file(file: dict[str, Any], names: list[str], said: str) -> None:
    found = contents_of(file)
    assert list(found.tensors) == names
    assert str(found) == said
