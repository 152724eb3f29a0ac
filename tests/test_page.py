"""Pages: whole, loading nothing, and in a real browser: stages fold, code shows, nothing complains."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import pairwise

import pytest

import archdsl
from archdsl.backend import sources
from archdsl.report.drawing.folds import folding
from archdsl.report.drawing.formats import write_drawing as write
from tests.browser import CHROMIUM, NO_CHROMIUM, Browser
from tests.drawn import ARCHES, two


class Markup(HTMLParser):
    """Reads a page and remembers what it would load and what does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.loads += [found[key] for key in ("src", "href", "xlink:href") if key in found]
        self.addresses += [found["data-address"]] if tag == "details" else []
        if tag not in ("meta", "rect", "path", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("make", ARCHES)
def test_the_page_is_whole_and_loads_nothing(make, tmp_path):
    plan = archdsl.compile(make())
    write(plan, tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    read = Markup()
    read.feed(text)
    assert (read.open, read.loads) == ([], [])
    assert len(read.addresses) == len(set(read.addresses))
    stages = {f"{name}.{stage}" for name, pathway in plan.arch.pathways.items() for stage in pathway.stages}
    assert stages <= set(read.addresses)
    facts = json.loads(text.partition('id="data">')[2].partition("</script>")[0])["facts"]
    assert set(facts) >= {node.address for node in plan.nodes} | stages
    assert "sees 1 frames" in facts[next(iter(plan.arch.clips))]


@pytest.mark.parametrize("make", ARCHES)
def test_folds_lie_below_each_other_and_are_lower_when_shut(make):
    _, folds = folding(archdsl.compile(make()))
    for (top, end, _), (below, _, _) in pairwise(folds):
        assert top < end < below
    assert all(0 < tall <= end - top + 40 for top, end, tall in folds)


def test_a_page_without_sources_has_no_code(tmp_path):
    plan = archdsl.compile(two())
    write(plan, tmp_path / "x.html")
    write(plan, tmp_path / "y.html", sources=sources(plan))
    without, given = ((tmp_path / name).read_text(encoding="utf-8") for name in ("x.html", "y.html"))
    assert "nn.Conv3d" not in without
    assert given.count("class Lateral(nn.Module)") == 1


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("profile"), height=2400)
    yield found
    found.close()


@pytest.fixture
def opened(browser, tmp_path):
    plan = archdsl.compile(two())
    write(plan, tmp_path / "two.html", level="block", sources=sources(plan))
    browser.complaints.clear()
    browser.open(tmp_path / "two.html")
    yield browser
    assert browser.complaints == []


def shown(browser: Browser, selector: str) -> bool:
    """Whether every such element is seen."""
    found = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return browser.run(f"{found}.length > 0 && {found}.every(e => e.getBoundingClientRect().height > 0)")


FOLDS = "[data-drawing=folds] "
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)


@pytest.mark.slow
@in_chromium
def test_a_stage_folds_and_unfolds_on_click(opened):
    block, whole = f"{FOLDS}[data-address='slow.res3.0']", f"{FOLDS}.d-whole[data-address='slow.res3']"
    head = f"{FOLDS}[data-address=head]"
    before = opened.middle(head)
    assert (shown(opened, block), shown(opened, whole)) == (True, False)
    opened.click(f"{FOLDS}.d-fold[data-address='slow.res3']")
    assert (shown(opened, block), shown(opened, whole)) == (False, True)
    assert shown(opened, f"{FOLDS}[data-address='slow.res2.0']")
    assert opened.middle(head)[1] < before[1]
    opened.click(whole)
    assert (shown(opened, block), shown(opened, whole)) == (True, False)
    assert opened.middle(head) == before


@pytest.mark.slow
@in_chromium
def test_buttons_choose_the_level(opened):
    for level, block, whole in (("stage", False, True), ("block", True, False)):
        opened.click(f"[data-show={level}]")
        assert shown(opened, f"{FOLDS}[data-address='slow.res3.0']") is block
        assert shown(opened, f"{FOLDS}.d-whole") is whole
        assert opened.run("document.querySelector('[aria-pressed=true][data-show]').dataset.show") == level
    opened.click("[data-show=pathway]")
    assert shown(opened, "[data-drawing=pathway] svg")
    assert not shown(opened, f"{FOLDS}svg")


@pytest.mark.slow
@in_chromium
def test_a_click_on_a_block_shows_its_code(opened):
    opened.click(f"{FOLDS}[data-address='slow.res3.0']")
    code = opened.run("document.querySelector('#code').textContent")
    assert code.startswith("slow.res3.0Bottleneck")
    assert "nn.Conv3d" in code
    assert "def forward(self, x: Tensor) -> Tensor:" in code
    assert opened.run("document.querySelector('aside .picked').dataset.address") == "slow.res3.0"


@pytest.mark.slow
@in_chromium
def test_the_pointer_reads_shape_cost_and_span(opened):
    opened.point(f"{FOLDS}[data-address='fast.res3.0']")
    tip = opened.run("document.querySelector('#tip').textContent")
    assert tip.startswith("fast.res3.0\noutput (32, 16, 8, 8)\n")
    assert "macs" in tip
    assert "sees" in tip


@pytest.mark.slow
@in_chromium
def test_cost_colours_zoom_and_pan(opened):
    colour = f"getComputedStyle(document.querySelector(\"{FOLDS}[data-address='slow.res3.0'] rect\")).fill"
    warm = opened.run(colour)
    opened.click("#heat")
    assert opened.run(colour) != warm
    place = "document.querySelector('#move').style.transform"
    before = opened.run(place)
    opened.ask("Input.dispatchMouseEvent", type="mouseWheel", x=300, y=300, deltaX=0, deltaY=-200)
    zoomed = opened.run(place)
    assert zoomed != before
    for kind, x in (("mousePressed", 40), ("mouseMoved", 90), ("mouseReleased", 90)):
        opened.ask("Input.dispatchMouseEvent", type=kind, x=x, y=500, button="left", buttons=1, clickCount=1)
    assert opened.run(place) != zoomed
