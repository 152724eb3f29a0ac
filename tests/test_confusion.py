"""Pictures and tables of classes: hostile names, many classes, shares by hand."""

from __future__ import annotations

import csv
from xml.dom import minidom

from archdsl.report.confusion import classes_svg, confusion_svg, confusion_table
from archdsl.report.table.formats import records_csv


def test_pictures_escape_hostile_names_and_stay_within_their_frame() -> None:
    names = ["<script>alert(1)</script>", "]]>&\"'", "\x00\x1b[31m\nred", "=cmd|' /C calc'!A0", "動" * 60, "</title>"]
    matrix = [[(i * j) % 5 for j in range(6)] for i in range(6)]
    rows = [{"class": name, "videos": i, "accuracy": i / 5 or None} for i, name in enumerate(names)]
    for svg in (confusion_svg(names, matrix, names[0]), classes_svg(rows, names[1])):
        root = minidom.parseString(svg).documentElement
        assert not root.getElementsByTagName("script")
        assert float(root.getAttribute("width")) < 800
    heads, *lines = csv.reader(records_csv(confusion_table(names, matrix)).splitlines())
    assert not [cell for row in (heads, *lines) for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert [[int(cell) for cell in row[1:]] for row in lines] == matrix


def test_many_classes_make_a_picture_without_names() -> None:
    matrix = [[3 if i == j else 0 for j in range(400)] for i in range(400)]
    svg = confusion_svg([f"class {i}" for i in range(400)], matrix, "many")
    assert svg.count("<g ") == 400
    assert ">class 7<" not in svg
