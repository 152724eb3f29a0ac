"""The language server: an editor's questions over the Language Server Protocol, answered by the rooms beside this one.

Text is data: nothing of a YAML or JSON document is executed. A Python spec file is code: it is checked when it is
saved, and only where the user asked for that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import TextDocument

from archdsl.editor.completion import completions
from archdsl.editor.definition import definition
from archdsl.editor.findings import Finding, Reading, document_kind, outline_or_none, reading, whole_line, with_fix
from archdsl.editor.hover import hover
from archdsl.editor.outline import Position, Range
from archdsl.errors import Fault

COMPLETION_KINDS = {
    "key": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.EnumMember,
    "name": types.CompletionItemKind.Reference,
}
LONGEST_CHECK = 60
"""Seconds that the check of a Python file may take."""


def language_server(version: str, python: bool = False) -> LanguageServer:
    """The server. With `python`, Python spec files are executed in a process of their own when they are saved."""
    server = LanguageServer("archdsl", version, text_document_sync_kind=types.TextDocumentSyncKind.Incremental)
    for event in (types.TEXT_DOCUMENT_DID_OPEN, types.TEXT_DOCUMENT_DID_SAVE):
        server.feature(event)(partial(document_changed, server, python))
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(partial(document_changed, server, False))
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(partial(document_closed, server))
    triggers = types.CompletionOptions(trigger_characters=[" ", "{", "[", "$", ".", ":"])
    server.feature(types.TEXT_DOCUMENT_COMPLETION, triggers)(partial(completion_asked, server))
    server.feature(types.TEXT_DOCUMENT_HOVER)(partial(hover_asked, server))
    server.feature(types.TEXT_DOCUMENT_DEFINITION)(partial(definition_asked, server))
    fixes = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, fixes)(partial(fixes_asked, server))
    return server


def kind_of_document(document: TextDocument) -> str | None:
    """`spec`, `recipe` or `python`; None for a document of something else."""
    path = path_of(document)
    if path.suffix == ".py":
        return "python"
    return document_kind(document.source, path, certain=document.language_id == "archdsl")


def path_of(document: TextDocument) -> Path:
    """The file of a document; one that was never saved has a name only."""
    return Path(to_fs_path(document.uri) or "untitled.yaml")


def read_document(document: TextDocument) -> Reading:
    """A document as the compiler reads it."""
    return reading(document.source, path_of(document), fixes=False)


def document_changed(server: LanguageServer, python: bool, event: Any) -> None:
    """Publish what is wrong with a document."""
    document = server.workspace.get_text_document(event.text_document.uri)
    kind, found = kind_of_document(document), []
    if kind == "python":
        if not python:
            return
        found = python_findings(path_of(document), document.source)
    elif kind:
        found = list(read_document(document).findings)
    publish(server, document, found)


def publish(server: LanguageServer, document: TextDocument, findings: list[Finding]) -> None:
    """Tell the client what is found in a document."""
    told = [diagnostic(document, finding) for finding in findings]
    server.text_document_publish_diagnostics(
        types.PublishDiagnosticsParams(uri=document.uri, version=document.version, diagnostics=told)
    )


def document_closed(server: LanguageServer, event: types.DidCloseTextDocumentParams) -> None:
    """Take back what was told of a document."""
    server.text_document_publish_diagnostics(
        types.PublishDiagnosticsParams(uri=event.text_document.uri, diagnostics=[])
    )


def diagnostic(document: TextDocument, finding: Finding) -> types.Diagnostic:
    """A finding for the client: its first line says what, the others at, got, want, fix."""
    rows = str(finding.fault).splitlines()
    text = "\n".join(row for row in rows if not row.startswith("  written "))
    severity = types.DiagnosticSeverity.Warning if finding.warning else types.DiagnosticSeverity.Error
    return types.Diagnostic(
        range=client_range(document, finding.range), message=text, severity=severity, source="archdsl"
    )


def client_range(document: TextDocument, found: Range) -> types.Range:
    """A range in the units that the client counts in."""
    ours = types.Range(types.Position(*found.start), types.Position(*found.end))
    return document.position_codec.range_to_client_units(document.lines, ours)


def position_of(document: TextDocument, position: types.Position) -> Position:
    """A client's position, counted in characters."""
    if position.line >= len(document.lines):  # an empty last line, which is none of `lines`
        return Position(len(document.lines), 0)
    ours = document.position_codec.position_from_client_units(document.lines, position)
    return Position(ours.line, ours.character)


def completion_asked(server: LanguageServer, asked: types.CompletionParams) -> types.CompletionList:
    """What may be written at a position."""
    document = server.workspace.get_text_document(asked.text_document.uri)
    kind = kind_of_document(document)
    if kind not in ("spec", "recipe"):
        return types.CompletionList(is_incomplete=False, items=[])
    position = position_of(document, asked.position)
    found = completions(document.source, position, path_of(document), recipe=kind == "recipe")
    items = [
        types.CompletionItem(
            label=one.label,
            kind=COMPLETION_KINDS[one.kind],
            detail=one.detail.split("\n")[0],
            documentation=types.MarkupContent(types.MarkupKind.Markdown, one.detail),
            insert_text=one.text,
            sort_text=f"{i:04}",
        )
        for i, one in enumerate(found)
    ]
    return types.CompletionList(is_incomplete=False, items=items)


def hover_asked(server: LanguageServer, asked: types.HoverParams) -> types.Hover | None:
    """What is told of the word at a position."""
    document = server.workspace.get_text_document(asked.text_document.uri)
    kind = kind_of_document(document)
    if kind not in ("spec", "recipe"):
        return None
    found = hover(read_document(document), position_of(document, asked.position), recipe=kind == "recipe")
    if not found:
        return None
    text, where = found
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), range=client_range(document, where))


def definition_asked(server: LanguageServer, asked: types.DefinitionParams) -> types.Location | None:
    """Where the name at a position is defined."""
    document = server.workspace.get_text_document(asked.text_document.uri)
    if kind_of_document(document) not in ("spec", "recipe"):
        return None
    found = definition(outline_or_none(document.source), position_of(document, asked.position), path_of(document))
    if not found:
        return None
    if found.file == path_of(document):
        return types.Location(document.uri, client_range(document, found.range))
    start, end = (types.Position(*position) for position in found.range)
    return types.Location(from_fs_path(str(found.file.resolve())) or "", types.Range(start, end))


def fixes_asked(server: LanguageServer, asked: types.CodeActionParams) -> list[types.CodeAction]:
    """Edits that follow the fixes of what is wrong in a range, each tried: only those that mend are offered."""
    document = server.workspace.get_text_document(asked.text_document.uri)
    if kind_of_document(document) not in ("spec", "recipe"):
        return []
    lines = range(asked.range.start.line, asked.range.end.line + 1)
    found = [one for one in read_document(document).findings if not one.warning]
    tried = [with_fix(one, found, document.source, path_of(document)) for one in found if one.range.start.line in lines]
    once = {(one.range.start.line, one.mended): one for one in reversed(tried) if one.mended is not None}
    return [action(document, one) for one in reversed(once.values())]


def action(document: TextDocument, finding: Finding) -> types.CodeAction:
    """The quick fix of a finding: its line written anew, all others left as they are."""
    number = finding.range.start.line
    line = document.lines[number].rstrip("\r\n")
    whole = Range(Position(number, 0), Position(number, len(line)))
    edit = types.TextEdit(range=client_range(document, whole), new_text=finding.mended or "")
    return types.CodeAction(
        title=f"fix: {finding.fault.fix}",
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic(document, finding)],
        edit=types.WorkspaceEdit(changes={document.uri: [edit]}),
        is_preferred=True,
    )


def python_findings(path: Path, text: str) -> list[Finding]:
    """What `archdsl check` says of a Python file, which it executes in a process of its own."""
    command = [sys.executable, "-m", "archdsl", "check", str(path), "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_CHECK, check=False)
        results = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        results = [
            {"faults": [{"what": "the file could not be checked", "want": "a file that `archdsl check` ends on"}]}
        ]
    return [
        located_in_python(Fault(**fault), path, text, warning)
        for result in results
        for field, warning in (("faults", False), ("warnings", True))
        for fault in result.get(field, ())
    ]


def located_in_python(fault: Fault, path: Path, text: str, warning: bool) -> Finding:
    """A fault of a Python file at its line."""
    name, _, number = (fault.written or "").rpartition(":")
    lines = text.splitlines() or [""]
    line = min(int(number) - 1, len(lines) - 1) if name == path.name and number.isdecimal() else 0
    return Finding(fault, whole_line(line, lines[line]), warning)
