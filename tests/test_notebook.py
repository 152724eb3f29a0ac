"""Notebooks: an arch and a plan show drawing and table, a broken arch its faults, a network one line."""

from __future__ import annotations

import subprocess
import sys

import archdsl
from archdsl.language import Classifier, Clip, Pathway, Stage
from tests.drawn import stages, two


def test_an_arch_shows_what_its_plan_shows():
    shown = two()._repr_html_()
    assert shown == archdsl.compile(two())._repr_html_()
    assert shown.count("<svg ") == shown.count("</svg>") == 1
    assert shown.count("<table ") == 1
    assert "res3" in shown


def test_drawings_of_one_notebook_do_not_share_ids():
    other = two().but(name="other")
    assert 'id="flow-two"' in two()._repr_html_()
    assert 'id="flow-other"' in other._repr_html_()


def test_an_arch_that_cannot_be_shows_why():
    broken = archdsl.Arch(
        name="broken",
        clip=Clip(frames=30, size=64),
        pathways=dict(a=Pathway(every=16, stages=dict(stem=Stage(*stages()["stem"].blocks)))),
        head=Classifier(classes=2),
    )
    shown = broken._repr_html_()
    assert shown.startswith("<pre>")
    assert "a multiple of 16" in shown


def test_a_network_is_one_line():
    network = archdsl.build(two())
    assert repr(network) == "Two: clip (n, 3, 32, 64, 64) -> scores (n, 10)"


def test_the_door_alone_loads_no_report():
    code = "import sys, archdsl; print(any(name.startswith('archdsl.report') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
