"""lsp and live: a language server for editors, and a page in the browser."""

from __future__ import annotations

import sys
import webbrowser
from argparse import Namespace
from pathlib import Path

from archdsl.errors import SpecError, printable
from archdsl.errors.extras import import_with_extras
from archdsl.spec.files import check_writable, regular


def lsp_command(given: Namespace) -> int:
    """Speak the Language Server Protocol over standard input and output, until the client leaves."""
    from archdsl import __version__

    room = import_with_extras("archdsl.editor.server")
    room.language_server(__version__, python=given.python).start_io()
    return 0


LIVE_SUFFIXES = (".yaml", ".yml", ".json")


def live_command(given: Namespace) -> int:
    """Serve the page of a spec file on this machine until Ctrl-C."""
    file = Path(given.file)
    if file.suffix not in LIVE_SUFFIXES:
        fix = f"archdsl show {given.file} > {file.with_suffix('.yaml').name}" if file.suffix == ".py" else None
        want = "a file ending in .yaml, .yml or .json: nothing but data is read while it is typed"
        raise SpecError(f"cannot show {printable(given.file)} live", got=file.suffix or given.file, want=want, fix=fix)
    if file.exists():
        regular(file)
    check_writable(file)
    room = import_with_extras("archdsl.editor.live.server")

    def tell(address: str) -> None:
        sys.stderr.write(f"{printable(given.file)} live at {address}\nCtrl-C ends it\n")
        sys.stderr.flush()
        if not given.no_browser:
            webbrowser.open(address)

    room.serve(file, given.port, tell)
    return 0
