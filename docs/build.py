"""The documentation site: `python -m docs.build -o out/docs`. Nothing is loaded from the network.

Pages written by hand lie in docs/site/ and docs/; those of words and of the zoo are made from classes and cards.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sphinx.cmd.build import build_main

import archdsl
from archdsl.catalog import card_of, models_in, reference_of, zoo_files
from archdsl.language import Model
from archdsl.report.explanation.page import word_record
from archdsl.report.explanation.words import Word, all_words
from archdsl.report.number_format import short, whole

HERE = Path(__file__).parent
ROOT = HERE.parent


def main() -> None:
    """Lay out the sources, then let Sphinx build them; a warning is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "docs")
    given = parser.parse_args()
    sources = given.output / "sources"
    shutil.rmtree(given.output, ignore_errors=True)
    lay_out(sources)
    sys.exit(build_main(["-W", "--keep-going", "-q", "-n", "-b", "html", str(sources), str(given.output / "html")]))


def lay_out(sources: Path) -> None:
    """Every page as Markdown in one folder."""
    shutil.copytree(HERE / "site", sources)
    for path in HERE.glob("*.md"):  # pages that are read beside the code too
        text = links_within(path.read_text(encoding="utf-8")).replace("](site/", "](")
        (sources / path.name).write_text(text, encoding="utf-8")
    primer = sources / "primer"
    shutil.copytree(ROOT / "specs" / "primer", primer)
    (sources / "language.md").write_text(language_page(primer), encoding="utf-8")
    write_pages(sources / "reference", "Reference", reference_pages())
    write_pages(sources / "zoo", "Zoo", zoo_pages(sources / "zoo"))


def links_within(text: str) -> str:
    """A page with its links to files of the repository as plain names: the site does not carry these."""
    return re.sub(r"\[([^\]]*)\]\((?!https?:|#)(?![\w/]+\.md)[^)]*\)", r"`\1`", text)


def write_pages(folder: Path, title: str, pages: Iterable[tuple[str, str]]) -> None:
    """Pages by name, and their index."""
    folder.mkdir(exist_ok=True)
    names = []
    for name, text in pages:
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
        names.append(name)
    index = "\n".join([f"# {title}", "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""])
    (folder / "index.md").write_text(index, encoding="utf-8")


def language_page(primer: Path) -> str:
    """The steps of the primer, each as it stands in specs/primer/."""
    parts = ["# The language in steps", "", (HERE / "site" / "language.md").read_text(encoding="utf-8")]
    for path in sorted(primer.iterdir()):
        if path.suffix in (".yaml", ".py"):
            title = path.stem.partition("_")[2].replace("_", " ")
            kind = "yaml" if path.suffix == ".yaml" else "python"
            parts += [f"## {int(path.stem[:2])}. {title[:1].upper()}{title[1:]}", ""]
            parts += [f"```{kind}", path.read_text(encoding="utf-8").rstrip(), "```", ""]
            parts += [f"`specs/primer/{path.name}`", ""]
    return "\n".join(parts)


# -- words


def reference_pages() -> Iterator[tuple[str, str]]:
    """A page for each kind of word."""
    by_kind: dict[str, list[Word]] = {}
    for word in all_words():
        by_kind.setdefault(word.kind, []).append(word)
    for kind, words in by_kind.items():
        yield kind.replace(" ", "_"), "\n".join([f"# {plural_of(kind)}", "", *(map(word_section, words))])


def plural_of(kind: str) -> str:
    """The name of a page of words of one kind."""
    made = f"{kind}es" if kind.endswith(("s", "ch")) else f"{kind}s"
    return made[:1].upper() + made[1:]


def word_section(word: Word) -> str:
    """A word with its fields, example and figures."""
    record = word_record(word)
    parts = [f"## {record['word']}", "", escaped(record["about"] or ""), ""]
    if record["fields"]:
        parts += ["| field | type | default | what it is |", "|---|---|---|---|"]
        parts += [field_row(field) for field in record["fields"]] + [""]
    if example := record["example"]:
        kind = {"python": "python", "console": "text"}.get(example["form"], "yaml")
        parts += [f"```{kind}", example["text"].rstrip(), "```", ""]
    if found := record["measured"]:
        reads = ", ".join("×".join(map(str, shape)) for shape in found["reads"])
        gives = "×".join(map(str, found["gives"]))
        parts += [f"There: {reads} → {gives}, {whole(found['params'])} params, {whole(found['macs'])} macs.", ""]
    if record["source"]:
        parts += [f"`{record['source']}`", ""]
    return "\n".join(parts)


def field_row(field: Any) -> str:
    """A field as a row."""
    values = [str(field.get(key, "") or "") for key in ("name", "type", "default", "about")]
    name, *rest = (escaped(value).replace("\n", " ") for value in values)
    return f"| `{name}` | {' | '.join(rest)} |"


def escaped(text: str) -> str:
    """Text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|$#])", r"\\\1", text)


# -- zoo


def zoo_pages(folder: Path) -> Iterator[tuple[str, str]]:
    """A page for each family."""
    folder.mkdir(exist_ok=True)
    for path in zoo_files():
        models = models_in(path)
        if models:
            yield path.stem, "\n".join(family_page(path, models, folder))


def family_page(path: Path, models: tuple[Model, ...], folder: Path) -> Iterator[str]:
    """The models of a family with their figures and claims; drawing and table of the first; where others differ."""
    card = path.parent / "cards" / f"{path.stem}.yaml"
    about = card_of(card.resolve()) if card.is_file() else None
    yield f"# {path.stem}\n"
    if about:
        yield f"{escaped(about.title or path.stem)} ({about.paper})\n"
    yield "| model | input | params | macs | fvcore |\n|---|---|---|---|---|"
    plans = {model.name: archdsl.compile(model.arch()) for model in models}
    for name, plan in plans.items():
        shapes = ", ".join("×".join(map(str, shape)) for shape in plan.inputs.values())
        fvcore = short(int(plan.count(convention="fvcore")))
        yield f"| `{name}` | {shapes} | {whole(plan.params)} | {short(plan.macs)} | {fvcore} |"
    first = models[0].name
    (folder / f"{first}.svg").write_text(archdsl.draw(plans[first]), encoding="utf-8")
    yield f"\n## {first}\n\n```{{image}} {first}.svg\n:alt: {first}\n```\n"
    yield archdsl.table(plans[first], format="md") + "\n"
    yield from claims(models)
    if about and about.notes:
        yield "## Where implementations differ\n"
        yield "\n".join(f"- {escaped(note)}" for note in about.notes) + "\n"


def claims(models: tuple[Model, ...]) -> Iterator[str]:
    """What was published of a family's models, each with its source and, where ours differs, why."""
    rows = [
        f"| `{model.name}` | {claim.figure} | {escaped(str(claim.value))} | {escaped(claim.source or '')} | "
        f"{escaped(claim.why or '')} |"
        for model in models
        if (reference := reference_of(model))
        for claim in reference.claims
    ]
    if rows:
        yield "## What was published\n"
        yield "\n".join(
            ["| model | figure | published | source | why ours differs |", "|---|---|---|---|---|", *rows, ""]
        )


if __name__ == "__main__":
    main()
