"""Following the fix of a fault: the line that has the fault, with the fix in it."""

from __future__ import annotations

import re

from archdsl.errors import Fault


def followed(line: str, fault: Fault) -> str | None:
    """The line with the fix in it (another word for what was met, or a field with another value); None for no way."""
    got, fix = fault.got or "", re.split(r", or |, where ", fault.fix or "")[0]
    word = re.split("[:=]", got)[0].strip("'\"")
    if not fix:
        return None
    if fix.startswith("{"):
        return re.sub(r"\bhead: .*", lambda _: f"head: {fix}", line)
    if re.match(r"\w+: \{\w+: ", fix):  # where a field stands, it stands within another
        return line[: len(line) - len(line.lstrip())] + fix
    if setting := re.fullmatch(r"(\w+): (.*)", fix):
        return line_with_field(line, *setting.groups())
    if word and re.search(rf"{re.escape(word)}\b", line):
        return re.sub(rf"{re.escape(word)}\b", lambda _: fix, line)
    return None


def line_with_field(line: str, key: str, value: str) -> str:
    """The line with a field's value changed, or the field added to the last mapping in the line."""
    old = re.search(rf"\b{key}(: ?|=)(\[[^\]]*\]|\{{[^}}]*\}}|\"[^\"]*\"|[^,)}}\n]+)", line)
    if old:
        quote = '"' if old[1] == "=" and old[2].startswith('"') else ""
        return f"{line[: old.start(2)]}{quote}{value}{quote}{line[old.end(2) :]}"
    at = len(line.rstrip("})"))
    return f"{line[:at]}, {key}: {value}{line[at:]}"
