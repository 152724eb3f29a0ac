"""The dialects that come along: zoo/weights/*.yaml, a source of weights each."""

from __future__ import annotations

from functools import cache

from pydantic import Field

from archdsl.catalog import SHELF
from archdsl.catalog.dialects.rules import Input, Naming, check_naming
from archdsl.errors import SpecError, did_you_mean
from archdsl.spec.base import Written, read_model
from archdsl.spec.parser import read_data

FOLDER_OF_DIALECTS = SHELF / "zoo" / "weights"


class Dialect(Written):
    """A source of published weights."""

    title: str = Field(description="the source as people call it")
    file: str = Field(description="what its files are")
    input: Input | None = Field(None, description="what its weights expect of pixels")
    families: dict[str, Naming] = Field(description="how it names each family of networks")


@cache
def dialects() -> dict[str, Dialect]:
    """Every dialect by name. Raises SpecError for rules that cannot be."""
    found = {path.stem: read_model(Dialect, read_data(path)) for path in sorted(FOLDER_OF_DIALECTS.glob("*.yaml"))}
    for dialect in found.values():
        for naming in dialect.families.values():
            check_naming(naming)
    return found


@cache
def namings() -> tuple[Naming, ...]:
    """Every naming of every dialect, with what it has of its dialect."""
    return tuple(
        naming.model_copy(update={"source": name, "key": key, "input": naming.input or dialect.input})
        for name, dialect in dialects().items()
        for key, naming in dialect.families.items()
    )


def naming_named(name: str) -> Naming:
    """A naming by its title, such as `torchvision/video_resnet`. Raises SpecError where there is none."""
    by_title = {naming.title: naming for naming in namings()}
    if name not in by_title:
        near = did_you_mean(name, by_title)
        raise SpecError(f"no dialect {name!r}", got=name, want=", ".join(by_title), fix=near)
    return by_title[name]
