"""Documents that nobody wrote: specs and recipes mutated at random. Each succeeds, or ends as SpecError.

    python -m tests.fuzz --documents 1000000 --recipes 20000 --seed 1 -o failures.jsonl

Each document has a random generator of its own, so that `--first INDEX --documents 1` makes one of them again.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import resource
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import archdsl
from archdsl.catalog import zoo
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import recipe_yaml, to_yaml
from archdsl.recipes import FOLDER, recipe
from archdsl.report import span_table
from archdsl.report.drawing.formats import draw
from archdsl.report.table.stages import table
from archdsl.spec.parser import parse_yaml

ROOT = Path(__file__).parent.parent
SECONDS = 10
"""Of processor time that a document may take."""
MEMORY = 1_000_000_000
"""Bytes that it may take beside what the process has when it starts."""
SILENT = 120
"""Seconds after which a process that has not come to its next document is killed."""
SMALL, FIRST = 0.6, 15
"""Share of the documents that are made from one of the first seeds, which are small."""
REPORTED = 0.2
"""Share of the networks that are drawn, or listed, or emitted."""
CHUNK = 2_000
"""Documents of one process."""


class Raw(str):
    """A scalar as it stands in the text: tags, aliases, numbers in odd forms."""


NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    16,
    17,
    64,
    1000,
    99_999,
    10**6,
    10**9,
    2**31,
    2**63,
    10**18,
    10**19,
    0.5,
    -0.5,
    1e-300,
    1e300,
)
SCALARS = tuple(
    Raw(text)
    for text in (
        *("!!bool foo", '!!int ""', '!!float ""', "!!timestamp foo", "!!null x", "!!str 1", "!!binary aGk=", "!mine 1"),
        *("!!int foo", "!!float 1_0", "!!merge x", "!!value x", "!!seq []", "!!map {}", "!!set {a}", "!!omap [a: 1]"),
        *(
            "!!python/name:os.system x",
            "!!int 0x1F",
            "!!int 0b",
            "!!int 1:99",
            "!<tag:yaml.org,2002:int> _",
            "!!bool 1",
        ),
        *(".inf", "-.inf", ".nan", "1e400", "1e99999999", "1e-99999999", "1/0", "1/8", "-1/8", "0x10", "0o17", "017"),
        *(
            "1:1:1",
            "190:20:30.15",
            "2001-01-01",
            "2001-13-45",
            "~",
            "null",
            "yes",
            "on",
            "=",
            "<<",
            "*a",
            "&a 1",
            "1_000",
        ),
        *("9" * 30, "9" * 300, "9" * 5000, "1." + "0" * 300, "+1", "--1", "'1'", '"\\0"', '"\\ud800"', '"\\U0001F600"'),
        *(
            "$in",
            "$in * 2",
            "$in / 0",
            "$x",
            "$channels",
            "$in - 1000000000",
            "$in * 1000000000000000000",
            "10 %",
            "3x3",
        ),
        *(
            "same",
            "none",
            "input",
            "like",
            "extends",
            "*",
            "pathways.*",
            "a b",
            "''",
            "[[[[[]]]]]",
            "[" * 5000,
            "[" * 500 + "]" * 500,
            "{a: {b: {c: 1}}}",
        ),
    )
)
KEYS = (
    "extends",
    "set",
    "like",
    "repeat",
    "reads",
    "blocks",
    "after",
    "into",
    "name",
    "clip",
    "clips",
    "causal",
    "<<",
    "!!int 1",
)


def corpus(folder: Path, pattern: str = "*.yaml") -> list[Any]:
    """The data of files."""
    return [parse_yaml(path.read_text(encoding="utf-8"), path.name) for path in sorted(folder.glob(pattern))]


@cache
def small_specs() -> list[Any]:
    """Specs that take little time: steps of the primer, the tests' own, and two of the zoo."""
    tiny = [to_yaml(archdsl.load(name)) for name in ("slowfast_tiny", "lenet5_full")]
    return [
        *corpus(ROOT / "specs" / "primer"),
        *corpus(ROOT / "tests" / "data"),
        *(parse_yaml(text, "zoo") for text in tiny),
    ]


@cache
def specs() -> list[Any]:
    """Those, and every model of the zoo, the smallest first: they are taken most often."""
    texts = sorted((to_yaml(model.arch()) for model in zoo()), key=len)
    return [*small_specs(), *(parse_yaml(text, "zoo") for text in texts)]


@cache
def recipes() -> list[Any]:
    """Every recipe that comes along, written out."""
    written = [parse_yaml(recipe_yaml(recipe(path.stem)), path.name) for path in sorted(FOLDER.glob("*.yaml"))]
    return [*corpus(FOLDER), *written]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path in nested data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def within(data: Any, path: Sequence[Any]) -> Any:
    """What stands at a path."""
    for key in path:
        data = data[key]
    return data


def chosen(rng: Random, data: Any) -> tuple[Any, ...]:
    """A place in nested data; the empty path where there is none."""
    found = list(places(data))
    return rng.choice(found) if found else ()


def scalar(rng: Random) -> Any:
    """A number or a text that may stand anywhere."""
    return rng.choice((rng.choice(NUMBERS), rng.choice(SCALARS), rng.choice(SCALARS), True, None, "", [], {}))


def retyped(value: Any, rng: Random) -> Any:
    """The value as another kind of thing."""
    forms = (
        lambda: [value],
        lambda: {"a": value},
        lambda: str(value)[:100],
        lambda: [deepcopy(value) for _ in range(rng.choice((2, 3, 50)))],
        lambda: list(value) if isinstance(value, dict | list) else [value, deepcopy(value), value],
        lambda: dict.fromkeys(map(str, value), 1) if isinstance(value, list) else {str(value)[:20]: value},
        lambda: nested(value, rng.choice((3, 30, 60))),
    )
    return deepcopy(rng.choice(forms)())


def nested(value: Any, depth: int) -> Any:
    """The value deep within lists and mappings."""
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def mutated(rng: Random, data: Any, others: Sequence[Any]) -> Any:
    """The data with one change."""
    path = chosen(rng, data)
    if not path:
        return scalar(rng)
    *above, last = path
    around = within(data, above)
    value = around[last]
    match rng.randrange(11):
        case 0:
            del around[last]
        case 1 if isinstance(around, list):
            around.insert(last, deepcopy(value))
        case 1:
            around[f"{last}_{rng.randrange(3)}"] = deepcopy(value)
        case 2:
            around[last] = retyped(value, rng)
        case 3:
            other = chosen(rng, data)
            if other[: len(path)] != path and path[: len(other)] != other:
                there = within(data, other[:-1])
                around[last], there[other[-1]] = deepcopy(there[other[-1]]), deepcopy(value)
        case 4 | 5 if isinstance(value, int | float):
            around[last] = rng.choice((*NUMBERS, value + 1, value * 2, -value, Raw(f"{value}e9"), str(value)))
        case 6 if isinstance(around, dict):
            around[rng.choice((*KEYS, *around))] = around.pop(last)
        case 7 if isinstance(around, dict):
            around[rng.choice(KEYS)] = scalar(rng)
        case 8:
            other = rng.choice(others)
            same = [place for place in places(other) if place[-1] == last] if isinstance(last, str) else []
            around[last] = deepcopy(within(other, rng.choice(same or [chosen(rng, other)])))
        case 9 if isinstance(value, list) and value:
            rng.shuffle(value)
        case _:
            around[last] = scalar(rng)
    return data


def nudged(rng: Random, data: Any) -> Any:
    """The data with one number a little changed, which often leaves it good."""
    found = [path for path in places(data) if isinstance(within(data, path), int | float)]
    if found:
        *above, last = rng.choice(found)
        around = within(data, above)
        value = around[last]
        around[last] = not value if isinstance(value, bool) else rng.choice((1, 2, 3, value + 1, value * 2, value // 2))
    return data


def written(data: Any) -> str:
    """Data as YAML in one line."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{key_of(key)}: {written(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list | tuple):
        return "[" + ", ".join(map(written, data)) + "]"
    if isinstance(data, Raw) or (isinstance(data, float) and not math.isfinite(data)):
        return str(data)
    return json.dumps(data)


def key_of(key: Any) -> str:
    """A key; those with a tag as they are."""
    return key if key.startswith("!") or key == "<<" else json.dumps(key)


def damaged(rng: Random, text: str) -> str:
    """The text with a few characters left out, doubled or replaced."""
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(text) + 1)
        what = rng.choice(
            (
                "",
                "[",
                "{",
                "}",
                ":",
                "\t",
                "\n",
                "- ",
                "*",
                "&a ",
                "!!",
                "'",
                '"',
                "\0",
                "\ufeff",
                "|\n",
                "#",
                "%",
                "? ",
            )
        )
        text = text[:at] + what + text[at + rng.choice((0, 0, 1, 5)) :]
    return text


def document(rng: Random, seeds: Sequence[Any]) -> str:
    """One mutated document."""
    small = rng.random() < SMALL
    data = deepcopy(rng.choice(seeds[:FIRST]) if small else seeds[int(rng.random() ** 2 * len(seeds))])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = nudged(rng, data) if rng.random() < 0.4 else mutated(rng, data, seeds)
    text = written(data)
    return damaged(rng, text) if rng.random() < 0.1 else text


def try_spec(path: Path, rng: Random, emits: bool) -> None:
    """Load, compile, write, and one of the reports."""
    arch = archdsl.load(path)
    plan = archdsl.compile(arch)
    again = path.with_name("again.yaml")
    again.write_text(to_yaml(arch), encoding="utf-8")
    assert archdsl.load(again) == arch, "what is written reads as another arch"
    assert plan.params >= 0
    reports: list[Callable[[], Any]] = [lambda: span_table(plan), lambda: table(plan), lambda: draw(plan)]
    if emits:
        reports += [lambda: draw(plan, "block"), lambda: ast.parse(archdsl.emit(plan))]
    if rng.random() < REPORTED:
        rng.choice(reports)()


def try_recipe(path: Path, rng: Random, emits: bool) -> None:
    """Load, write, and work out the schedule."""
    made = recipe(path)
    again = path.with_name("again.yaml")
    again.write_text(recipe_yaml(made), encoding="utf-8")
    assert recipe(again) == made, "what is written reads as another recipe"
    stretched: list[Recipe] = [made, made.lasting("steps", 100), made.lasting("epochs", 7)]
    for one in stretched:
        last = one.steps_for(1000)
        for step in {0, 1, last // 2, max(last - 1, 0)}:
            assert one.rate_at(step, 1000) >= 0
            one.evaluates_after(step + 1, 1000)


TRIES = {"spec": try_spec, "recipe": try_recipe}


def told(error: SpecError) -> None:
    """What a person is told can be told, and says something."""
    str(error).encode(errors="replace")
    assert error.faults, "an error without a fault"
    assert all(fault.what for fault in error.faults), "a fault that says nothing"


def run_one(kind: str, seed: int, index: int, folder: Path, seeds: Sequence[Any], emits: bool) -> bool:
    """Make one document and try it; whether it was a success. What it raises beside SpecError is a fault of ours."""
    rng = Random(f"{kind} {seed} {index}")
    path = folder / "document.yaml"
    path.write_text(document(rng, seeds), encoding="utf-8", errors="surrogatepass")
    try:
        TRIES[kind](path, rng, emits)
    except SpecError as error:
        told(error)
        return False
    return True


class TooLong(BaseException):
    """A document took all its time."""


def alarm(signum: int, frame: Any) -> None:
    """Time is up."""
    raise TooLong


def child(kind: str, seed: int, indices: range, out: Path, pipe: int) -> None:
    """Try documents in a process of limited memory; say which one is at hand, keep those that fail."""
    seeds = specs() if kind == "spec" else recipes()
    used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGPROF, alarm)
    with tempfile.TemporaryDirectory() as name:
        for index in indices:
            os.write(pipe, f"{index}\n".encode())
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                run_one(kind, seed, index, Path(name), seeds, True)
            except (Exception, TooLong) as error:  # noqa: BLE001  whatever it is, it is what is looked for
                signal.setitimer(signal.ITIMER_PROF, 0)
                failed(out, kind, seed, index, f"{type(error).__name__}: {error}", traceback.format_exc())
            signal.setitimer(signal.ITIMER_PROF, 0)


def failed(out: Path, kind: str, seed: int, index: int, what: str, trace: str) -> None:
    """Keep a failure with all that makes it again."""
    text = document(Random(f"{kind} {seed} {index}"), specs() if kind == "spec" else recipes())
    record = dict(kind=kind, seed=seed, index=index, what=what[:300], trace=trace[-3000:], document=text)
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    print(f"{kind} {seed} {index}: {what[:200]}", flush=True)


def chunk(kind: str, seed: int, indices: range, out: Path) -> int:
    """Try documents in another process; the index at which it ended, which is the last where all went well."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reads)
        try:
            child(kind, seed, indices, out, writes)
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    os.close(writes)
    at, rest = indices.start, b""
    while select.select([reads], [], [], SILENT)[0]:
        if not (data := os.read(reads, 65536)):
            break
        *lines, rest = (rest + data).split(b"\n")
        at = int(lines[-1]) if lines else at
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reads)
    status = os.waitpid(pid, 0)[1]
    if status:
        failed(out, kind, seed, at, f"the process ended with {status}", "")
    return at


def main() -> int:
    """Try as many as were asked for; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(description="Mutated specs and recipes: each succeeds or ends as SpecError.")
    parser.add_argument("--documents", type=int, default=2000, metavar="N", help="specs")
    parser.add_argument("--recipes", type=int, default=0, metavar="N", help="recipes")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first document")
    parser.add_argument("-o", "--output", default="fuzz_failures.jsonl", metavar="FILE", help="where failures go")
    given = parser.parse_args()
    out, begun, before = Path(given.output), monotonic(), failures(Path(given.output))
    specs(), recipes(), archdsl.emit(archdsl.compile(archdsl.load("lenet5_full")))  # once, not in every process
    for kind, count in (("spec", given.documents), ("recipe", given.recipes)):
        at, end = given.first, given.first + count
        while at < end:
            at = chunk(kind, given.seed, range(at, min(at + CHUNK, end)), out) + 1
            rate = (at - given.first) / (monotonic() - begun)
            print(f"{kind}s {at} of {end}, {failures(out) - before} failed, {rate:.0f} a second", flush=True)
        begun = monotonic()
    return int(failures(out) > before)


def failures(out: Path) -> int:
    """How many are in the file."""
    return len(out.read_text(encoding="utf-8").splitlines()) if out.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
