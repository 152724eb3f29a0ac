"""lsp: a language server for editors."""

from __future__ import annotations

from argparse import Namespace

from archdsl.extras import import_with_extras


def lsp_command(given: Namespace) -> int:
    """Speak the Language Server Protocol over standard input and output, until the client leaves."""
    from archdsl import __version__

    room = import_with_extras("archdsl.editor.server")
    room.language_server(__version__, python=given.python).start_io()
    return 0
