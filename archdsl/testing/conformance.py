"""What every arch must pass: it compiles, its YAML means the same, and torch agrees with its plan."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.writers.yaml_writer import to_yaml


def check(arch: Arch) -> Plan:
    """The plan of an arch that compiles, reads back equal from YAML, and agrees with torch (where it is installed).

    Raises AssertionError that says what differs.
    """
    try:
        plan = compile(arch)
    except SpecError as error:
        raise AssertionError(f"{arch.name} does not compile\n\n{error}") from None
    check_yaml_round_trip(arch)
    if find_spec("torch"):
        from archdsl.testing.agreement import check_agreement

        check_agreement(plan)
    return plan


def check_yaml_round_trip(arch: Arch) -> None:
    """The arch as YAML loads back equal. An arch with blocks of Python has no YAML form and passes."""
    try:
        text = to_yaml(arch)
    except SpecError:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "arch.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            back = load(path)
        except SpecError as error:
            raise AssertionError(f"the YAML of {arch.name} does not load\n\n{error}\n\n{text}") from None
    changed = [name for name in Arch.model_fields if getattr(back, name) != getattr(arch, name)]
    assert not changed, f"{arch.name} changes on its way through YAML: {', '.join(changed)}\n\n{text}"
