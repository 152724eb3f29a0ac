"""Every property asked of a network and of its legal neighbours; a failure told by the smallest spec that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from archdsl.catalog import load
from archdsl.compiler import compile
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Arch, Model
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.ops.seeded_draw import SeededDraw
from archdsl.testing.properties import CHEAP, PROPERTIES, RARE
from archdsl.testing.reduction import is_small, small_form
from archdsl.testing.shrinker import simplest
from archdsl.testing.specimen import Specimen
from archdsl.testing.variants import neighbour

ExampleProgress = Callable[[int, int], None]
"""Is told which example of how many begins."""
RAISED = (AssertionError, ArithmeticError, AttributeError, LookupError, RuntimeError, SpecError, TypeError, ValueError)
"""What a property and torch may raise; each is a fault of archdsl."""
OFTEN = 10
"""Rare properties are asked of every so manyth example."""


@dataclass(frozen=True)
class PropertyFailure:
    """A property that does not hold."""

    property: str
    what: str
    example: int
    arch: Arch
    """The simplest for which it fails."""
    command: str
    """What repeats it."""

    def __str__(self) -> str:
        try:
            text = to_yaml(self.arch).rstrip()
        except SpecError:
            text = f"# {self.arch.name} has a block of Python, and no YAML form"
        about = (PROPERTIES[self.property].__doc__ or "").strip()
        lines = [f"{self.property} does not hold: {about}", "", self.what, "", text, "", f"repeat  {self.command}"]
        return "\n".join(lines)


def property_failure(
    arch: Arch,
    *,
    examples: int = 10,
    seed: int = 0,
    only: Iterable[str] = (),
    command: str = "",
    progress: ExampleProgress | None = None,
) -> PropertyFailure | None:
    """The first failure among a network in small and its neighbours; None where all properties hold."""
    small, names = asked(arch, only)
    for i in range(examples):
        if progress:
            progress(i, examples)
        tried = neighbour(small, SeededDraw(Random(f"{seed}-{i}"))) if i else small
        one = Specimen(tried, seed)
        for name in names:
            if name in RARE and i % OFTEN and len(names) > 1:
                continue
            if what := property_fault(name, one):
                least = simplest(tried, partial(fails, name, seed))
                told = property_fault(name, Specimen(least, seed)) or what
                return PropertyFailure(name, told, i, least.but(name="failure"), command)
    return None


def asked(arch: Arch, only: Iterable[str]) -> tuple[Arch, list[str]]:
    """The arch in small, and the properties that it can be asked for: of a large one those that run nothing."""
    small = small_form(arch)
    runs = is_small(compile(small))
    return small, [name for name in chosen_properties(only) if runs or name in CHEAP]


def fails(name: str, seed: int, arch: Arch) -> bool:
    """Whether a property does not hold of an arch."""
    return property_fault(name, Specimen(arch, seed)) is not None


def property_fault(name: str, one: Specimen) -> str | None:
    """What is wrong about a property of an arch; None where it holds. Whatever torch raises is a fault of ours."""
    try:
        PROPERTIES[name](one)
    except RAISED as error:
        text = str(error) or type(error).__name__
        return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"
    return None


def chosen_properties(only: Iterable[str]) -> list[str]:
    """Properties by name, all by default. Raises SpecError for a name that none has."""
    names = list(only)
    for name in names:
        if name not in PROPERTIES:
            near = did_you_mean(name, PROPERTIES)
            raise SpecError(f"no property {name!r}", got=name, want=", ".join(PROPERTIES), fix=near)
    return names or list(PROPERTIES)


def network_test(
    net: str | Path | Arch | Model, *, examples: int = 10, seed: int = 0, only: Iterable[str] = (), **overrides: Any
) -> Callable[[], None]:
    """One line tests a network in pytest: `test_my_net = ` this of "my_net.yaml".

    It asks every property of the network in small and of its legal neighbours, and fails with the smallest spec.
    """

    def test_network() -> None:
        arch = load(net, **overrides)
        command = (
            f"archdsl test {net if isinstance(net, str | Path) else arch.name} --examples {examples} --seed {seed}"
        )
        failure = property_failure(arch, examples=examples, seed=seed, only=only, command=command)
        assert failure is None, str(failure)

    return test_network
