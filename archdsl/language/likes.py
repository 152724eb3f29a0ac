"""Pathways written `like` another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.errors import SpecError
from archdsl.language.paths import change_all
from archdsl.language.pathway import Pathway
from archdsl.spec.base import read_model
from archdsl.spec.lines import Lines, mapping_at


def with_likes(pathways: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{like: slow, every: 2, set: {stages.res2.kernel_t: 3}}` as the pathway it means."""
    made = dict(pathways)
    for name, data in pathways.items():
        if not isinstance(data, Mapping) or "like" not in data:
            continue
        at, line = f"pathways.{name}", getattr(data, "written", None)
        other = data["like"]
        if not isinstance(other, str) or other not in pathways or other == name:
            known = [known for known in pathways if known != name]
            raise SpecError(
                f"no pathway {other!r} to copy",
                at=f"{at}.like",
                written=line,
                got=str(other),
                want=", ".join(known),
            )
        if other not in made:
            del made[name]  # what it is like was left out below, with its own faults told
            continue
        try:
            pathway = made[other] if isinstance(made[other], Pathway) else read_model(Pathway, made[other])
        except SpecError:
            del made[name]  # the other one's faults are told where it stands, once
            continue
        try:
            changes = mapping_at(data, "set", "set: {path: value}")
            own = [(key, value) for key, value in data.items() if key not in ("like", "set")]
            lines = {**getattr(data, "keys_written", {}), **changes.keys_written}
            pathway = change_all(pathway, [*own, *changes.items()], lines).model_copy()
        except SpecError as error:
            raise SpecError(fault.under(at).placed(None, line) for fault in error.faults) from None
        pathway._written = line
        made[name] = pathway
    return Lines(made, pathways.written, pathways.keys_written) if isinstance(pathways, Lines) else made
