"""A network of the literature: an arch from a family, with what was published about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from traceback import extract_tb
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from archdsl.blocks.names import ArchName
from archdsl.errors import SpecError
from archdsl.language.arch import Arch
from archdsl.language.head import Several
from archdsl.language.parameters import split_overrides
from archdsl.language.paths import change
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count

UNIT_EXPONENTS = {"": 0, "K": 3, "M": 6, "G": 9, "T": 12}
PRINTED = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)([KMGT]?)", re.ASCII)


class Claim(Written):
    """One published figure. `value` is as printed, such as "36.1G", so that its rounding is known."""

    figure: Literal["params", "params-without-norms", "macs", "fvcore", "flops", "ptv-zoo", "top1", "top5"] = Field(
        description="what is claimed; costs name their convention"
    )
    value: Annotated[str, Field(pattern=f"^{PRINTED.pattern}$")] = Field(description="as printed, with K, M, G or T")
    source: str = Field(description="paper and table, or repository and file")
    input: dict[str, Count] = Field({}, description="overrides for the input it was counted at, such as size=256")
    why: str | None = Field(None, description="where ours differs: the explanation")

    @property
    def number(self) -> Decimal:
        """The printed value as a number."""
        digits, unit = self._parts()
        return Decimal(digits).scaleb(UNIT_EXPONENTS[unit])

    @property
    def half_unit(self) -> Decimal:
        """Half of the last printed digit: how far a figure may be from what it rounds."""
        digits, unit = self._parts()
        return Decimal(5).scaleb(UNIT_EXPONENTS[unit] - 1 - len(digits.partition(".")[2]))

    def _parts(self) -> tuple[str, str]:
        match = PRINTED.fullmatch(self.value)
        if not match:
            raise SpecError("invalid figure", written=self.written, got=self.value, want="digits and K, M, G or T")
        return match[1], match[2]


class PublishedWeights(Written):
    """A file of weights that somebody published. Nothing here fetches it."""

    file: str = Field(description="its name, or how it begins and ends")
    dialect: str = Field(description="how its tensors are named: a source of zoo/weights and a family of it")
    dataset: str = Field(description="what it was trained on at last")
    accuracy: str = Field(description="as printed where it was published")


class Reference(Written):
    """Where a model comes from, and what was said of it."""

    paper: str = Field(description="arXiv number or venue")
    title: str = Field(description="the paper's title")
    where: str = Field("", description="table, figure or configuration that defines the model")
    notes: tuple[str, ...] = Field((), description="where implementations differ, and which one this is")
    claims: tuple[Claim, ...] = Field((), description="published figures")
    weights: tuple[PublishedWeights, ...] = Field((), description="published files of weights")


class CardEntry(Written):
    """One model on a card. Paper and title are the card's where they are not its own."""

    paper: str | None = Field(None, description="arXiv number or venue")
    title: str | None = Field(None, description="the paper's title")
    where: str = Field("", description="table, figure or configuration that defines the model")
    notes: tuple[str, ...] = Field((), description="what is particular to this model")
    claims: tuple[Claim, ...] = Field((), description="published figures")
    weights: tuple[PublishedWeights, ...] = Field((), description="published files of weights")


class Card(Written):
    """What was published about a family: `zoo/cards/FAMILY.yaml`, beside the specs of `zoo/FAMILY.py`."""

    paper: str = Field(description="arXiv number or venue")
    title: str = Field(description="the paper's title")
    notes: tuple[str, ...] = Field((), description="where implementations differ, and which one this is")
    models: dict[ArchName, CardEntry] = Field(description="models by name")

    def reference(self, name: str) -> Reference | None:
        """What the card says of one model."""
        if name not in self.models:
            return None
        entry = self.models[name]
        return Reference(
            paper=entry.paper or self.paper,
            title=entry.title or self.title,
            where=entry.where,
            notes=(*self.notes, *entry.notes),
            claims=entry.claims,
            weights=entry.weights,
        )


class Model(Written):
    """An arch with its reference. The arch is made when it is asked for, with the family's parameters or yours."""

    name: ArchName = Field(description="name in the zoo")
    family: Callable[..., Arch] = Field(description="makes the arch from a name and parameters")
    parameters: dict[str, Any] = Field({}, description="arguments of the family")
    axes: dict[str, Callable[[dict[str, Any], Fraction], dict[str, Any]]] = Field(
        {}, description="how parameters grow along an axis, by a factor"
    )
    _file: Path | None = PrivateAttr(default=None)
    reference: Reference | None = Field(None, description="where it comes from")

    def arch(self, /, **overrides: Any) -> Arch:
        """The arch. `frames`, `size`, `fps` and `classes` change any model; the rest are the family's parameters."""
        own, rest = split_overrides(self.name, self.family, overrides)
        return overridden(self.made(own), **rest)

    def made(self, own: dict[str, Any]) -> Arch:
        """What the family makes of its parameters. Whatever it raises is told as one fault."""
        try:
            return self.family(self.name, **{**self.parameters, **own})
        except SpecError:
            raise
        except Exception as error:  # noqa: BLE001  a family is a person's code, and so are the values it is given
            frames = extract_tb(error.__traceback__)[1:2]
            given = ", ".join(f"{name}={value!r}" for name, value in own.items())
            raise SpecError(
                f"{type(error).__name__} in the family of {self.name}",
                written=f"{Path(frames[0].filename).name}:{frames[0].lineno}" if frames else None,
                got=f"{error} with {given}" if given else str(error),
            ) from None


def overridden(arch: Arch, **common: Any) -> Arch:
    """The arch with another input or number of classes. Raises SpecError for what none of its clips has."""
    for name, value in common.items():
        if name == "classes":
            arch = change(arch, "head.heads.*.classes" if isinstance(arch.head, Several) else "head.classes", value)
            continue
        clips = [clip for clip, made in arch.clips.items() if made.varies(name)]
        if not clips:
            kinds = ", ".join(f"{clip} ({made.modality})" for clip, made in arch.clips.items())
            fix = f"set: {{clips.{next(iter(arch.clips))}.{'width' if name == 'size' else name}: {value}}}"
            raise SpecError(
                f"no clip of {arch.name} takes a {name}", at=name, got=kinds, want="a clip of frames", fix=fix
            )
        for clip in clips:
            if name == "size":
                made = arch.clips[clip].but(size=value, height=None, width=None)
                arch = arch.but(clips={**arch.clips, clip: made})
            else:
                arch = change(arch, f"clips.{clip}.{name}", value)
    return arch
