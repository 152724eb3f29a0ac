"""A page that needs nothing else: pictures are in it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from archdsl.errors import printable
from archdsl.visualization.methods import Method
from archdsl.visualization.request import Section

STYLE = """\
body { font: 14px/1.45 Helvetica, Arial, sans-serif; margin: 24px auto; max-width: 1200px; padding: 0 16px }
h1 { font-size: 22px } h2 { font-size: 17px; margin: 32px 0 4px; border-top: 1px solid #ddd; padding-top: 14px }
table { border-collapse: collapse } td { padding: 1px 14px 1px 0; vertical-align: top } td:first-child { color: #777 }
.pictures { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start }
figure { margin: 8px 0 0 } figcaption { color: #555; max-width: 420px; font-size: 12px }
img { image-rendering: pixelated; max-width: 100%; display: block; margin-bottom: 3px }
nav a { margin-right: 12px } .note { color: #8a4b00 }
"""
MEDIA_TYPES = {"png": "image/png", "gif": "image/gif"}


class ShownPicture(NamedTuple):
    """A picture of the page."""

    caption: str
    suffix: str
    data: bytes


class ShownSection(NamedTuple):
    """A method's part of the page; `left_out` says why it shows nothing."""

    method: Method
    section: Section | None
    pictures: tuple[ShownPicture, ...]
    left_out: str = ""


def page_text(title: str, facts: Mapping[str, str], parts: list[ShownSection]) -> str:
    """The page: facts, then a section for each method."""
    rows = "".join(f"<tr><td>{in_html(name)}</td><td>{in_html(value)}</td></tr>\n" for name, value in facts.items())
    links = " ".join(f'<a href="#{part.method.name}">{part.method.name}</a>' for part in parts if not part.left_out)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{in_html(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
            f"<h1>{in_html(title)}</h1>\n<table>\n{rows}</table>\n<nav>{links}</nav>",
            *map(section_text, parts),
            "</body>\n</html>\n",
        ]
    )


def section_text(part: ShownSection) -> str:
    """One method."""
    lines = [f'<h2 id="{part.method.name}">{part.method.name}</h2>', f"<p>{in_html(part.method.text)}</p>"]
    if part.left_out:
        lines.append(f'<p class="note">Not shown: {in_html(part.left_out)}</p>')
    if part.section and part.section.text:
        lines.append(f"<p>{in_html(part.section.text)}</p>")
    lines.append('<div class="pictures">')
    for one in part.pictures:
        data = b64encode(one.data).decode()
        caption = in_html(one.caption)
        image = f'<img src="data:{MEDIA_TYPES[one.suffix]};base64,{data}" alt="{caption}">'
        lines.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    lines += [f"<figure>{drawing}</figure>" for drawing in (part.section.drawings if part.section else ())]
    return "\n".join([*lines, "</div>"])


def in_html(text: str) -> str:
    """Text for HTML."""
    return escape(printable(text))
