"""Amounts of memory as a person writes them, and what runs again in backward to stay within one."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from archdsl.errors import SpecError, did_you_mean

BYTES_OF_UNIT = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
AMOUNT = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([KMG]?i?B)", re.IGNORECASE)
CHECKPOINT_LEVELS = ("none", "stage", "block")


def bytes_of(text: str) -> int:
    """80GB, 24 GiB or 512MB as bytes. Raises SpecError for anything else."""
    match = AMOUNT.fullmatch(text.strip())
    if not match or not Decimal(match[1]) or match[2].upper() not in BYTES_OF_UNIT:
        raise SpecError("invalid amount of memory", got=text, want="a number and MB, GB, MiB or GiB, such as 80GB")
    return int(Decimal(match[1]) * BYTES_OF_UNIT[match[2].upper()])


def bytes_text(n: int) -> str:
    """Bytes for people: 1.23 GB."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if n >= size:
            return f"{n / size:.{3 - len(str(n // size)) if n < 100 * size else 0}f} {unit}"
    return f"{n} B"


def checkpoint_of(text: str) -> str:
    """none, stage, block or an amount, as it was written. Raises SpecError for anything else."""
    if text in CHECKPOINT_LEVELS:
        return text
    if text[:1].isdigit():
        bytes_of(text)
        return text
    fix = did_you_mean(text, CHECKPOINT_LEVELS)
    raise SpecError(f"no checkpoint {text!r}", got=text, want="none, stage, block, or memory such as 80GB", fix=fix)


Checkpoint = Annotated[
    str,
    AfterValidator(checkpoint_of),
    WithJsonSchema(
        {"anyOf": [{"enum": list(CHECKPOINT_LEVELS)}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?[KMGkmg]?i?[Bb]$"}]}
    ),
]
"""Modules that run again in backward: none, every stage, every block, or those that an amount of memory asks for."""
