"""The gallery is what the present code draws, and its index names every file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

GALLERY = Path(__file__).parent.parent / "docs" / "gallery"


def test_the_gallery_is_fresh_and_whole():
    spec = importlib.util.spec_from_file_location("gallery", GALLERY.with_suffix(".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = dict(module.made())
    stale = [name for name, text in made.items() if (GALLERY / name).read_text(encoding="utf-8") != text]
    assert not stale, f"run python docs/gallery.py: {stale}"
    assert {path.name for path in GALLERY.iterdir()} == {*made, "tradeoff.svg"}
    assert all(f"({name})" in made["README.md"] for name in {*made, "tradeoff.svg"} - {"README.md"})
    assert len(module.SHOWN) >= 10
