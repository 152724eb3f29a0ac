"""Sphinx settings of the documentation site; docs/build.py lays out the pages."""

project = "archdsl"
author = "the authors of archdsl"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
html_theme = "furo"
html_title = "archdsl"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
suppress_warnings = ["misc.highlighting_failure"]  # console blocks hold box drawing and what a shell prints
