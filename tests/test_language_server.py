"""The language server, driven over its own pipe by a client of the protocol."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient
from pygls.workspace import TextDocument
from test_broken import FILES, FOLDER, RECIPES

from archdsl import SpecError, compile, load
from archdsl.editor.server import position_of as own_position
from archdsl.recipes import recipe

YAML = [name for name in [*FILES, *RECIPES] if name.endswith(".yaml")]
BASE = """\
name: mine
clip: {frames: 8, size: 32}
blocks:
  unit:
    fields: {channels: 8}
    steps:
      a: {conv: {out_channels: $channels, kernel: [1, 1, 1]}}
      b: {relu: {}, reads: a}
pathways:
  slow:
    every: 4
    stages:
      stem: {conv: {channels: 8, kernel: [1, 3, 3]}}
      res2: [{unit: {channels: 8}}, {basic: {channels: 8}, repeat: 2}]
  fast:
    like: slow
    set: {every: 1}
edges:
- {source: fast, target: slow, after: [stem, res2], transform: time_conv}
head: {classifier: {classes: 10}}
"""


class Session:
    """A client with one document open."""

    def __init__(self, client: LanguageClient, uri: str) -> None:
        self.client, self.uri = client, uri
        self.version = 0
        self.told: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()

    async def open(self, text: str, language: str = "archdsl", uri: str | None = None) -> list[types.Diagnostic]:
        self.uri = uri or self.uri
        document = types.TextDocumentItem(self.uri, language, 0, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(document))
        return (await asyncio.wait_for(self.told.get(), 30)).diagnostics

    async def type(self, text: str) -> list[types.Diagnostic]:
        self.version += 1
        document = types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version)
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))
        return (await asyncio.wait_for(self.told.get(), 30)).diagnostics

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    async def complete(self, text: str) -> list[str]:
        """The labels at `|`."""
        before, _, after = text.partition("|")
        await self.type(before + after)
        asked = types.CompletionParams(self.document, position_of(before))
        answer = await self.client.text_document_completion_async(asked)
        assert isinstance(answer, types.CompletionList)
        return [item.label for item in answer.items]

    async def fixes(self, where: types.Range) -> list[types.CodeAction]:
        asked = types.CodeActionParams(self.document, where, types.CodeActionContext(diagnostics=[]))
        found = await self.client.text_document_code_action_async(asked)
        return [one for one in found or [] if isinstance(one, types.CodeAction)]


def position_of(before: str) -> types.Position:
    return types.Position(before.count("\n"), len(before.rpartition("\n")[2]))


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[Callable[[Session], Awaitable[None]]], None]:
    """Runs what a client does, in one session with the server."""

    async def run(work: Callable[[Session], Awaitable[None]]) -> None:
        client = LanguageClient("test", "1")
        session = Session(client, (tmp_path / "net.yaml").as_uri())
        client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda told: session.told.put_nowait(told))
        await client.start_io(sys.executable, "-m", "archdsl", "lsp", "--python")
        try:
            given = types.InitializeParams(capabilities=types.ClientCapabilities(), root_uri=tmp_path.as_uri())
            await asyncio.wait_for(client.initialize_async(given), 30)
            client.initialized(types.InitializedParams())
            await work(session)
            await client.shutdown_async(None)
            client.exit(None)
        finally:
            await asyncio.wait([asyncio.create_task(client._server.wait())], timeout=5)
            if client._server.returncode is None:
                client._server.kill()
            await client.stop()

    return lambda work: asyncio.run(run(work))


def faults_of(name: str) -> list[Any]:
    """What the compiler says of a broken file."""
    try:
        recipe(name) if name in RECIPES else compile(load(name))
    except SpecError as error:
        return [*error.faults]
    return []


def test_it_says_of_broken_specs_what_check_says(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)

    async def work(session: Session) -> None:
        for name in YAML:
            text = (FOLDER / name).read_text(encoding="utf-8")
            told = await session.open(text, uri=(FOLDER / name).as_uri())
            faults = faults_of(name)
            whats = [one.message.partition("\n")[0].replace(f"{FOLDER}/", "") for one in told]
            assert whats == [fault.what for fault in faults], name
            lines = text.splitlines()
            for one, fault in zip(told, faults):
                file, _, number = (fault.written or "").rpartition(":")
                if file == Path(name).name:
                    assert one.range.start.line == int(number) - 1, (name, fault)
                assert one.range.start.line == one.range.end.line or not fault.written, (name, fault)
                line = lines[one.range.start.line] if lines else ""
                assert 0 <= one.range.start.character <= len(line), (name, fault)

    serve(work)


@pytest.mark.slow
def test_python_files_are_checked_where_that_was_asked_for(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)

    async def work(session: Session) -> None:
        for name in (name for name in FILES if name.endswith(".py")):
            told = await session.open((FOLDER / name).read_text(encoding="utf-8"), "python", (FOLDER / name).as_uri())
            whats = [fault.what for fault in faults_of(name)]
            if name != "python_with_two_models.py":  # `check` takes both, `load` wants one
                assert [one.message.partition("\n")[0] for one in told] == whats, name

    serve(work)


def with_cursor(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


COMPLETIONS: tuple[tuple[str, set[str], set[str]], ...] = (
    (with_cursor("name: mine", "name: mine\npyramid: {|}"), {"levels", "channels"}, {"pathways"}),
    (with_cursor("name: mine", "name: mine\n|"), {"causal", "pyramid", "reference"}, {"pathways", "head", "clip"}),
    (with_cursor("size: 32}", "size: 32, |}"), {"fps", "modality", "channels"}, {"frames", "size"}),
    (with_cursor("size: 32}", "size: 32, modality: |}"), {"rgb", "flow", "audio"}, {"frames"}),
    (with_cursor("size: 32}", "size: 32, modality: f|}"), {"flow"}, set()),
    (with_cursor("    every: 4", "    every: 4\n    |"), {"width_ratio", "tied_to", "after"}, {"every", "stages"}),
    (with_cursor("    every: 4", "    wid|"), {"width_ratio"}, {"stages"}),
    (with_cursor("{conv: {channels: 8, kernel: [1, 3, 3]}}", "{|}"), {"conv", "bottleneck", "unit"}, {"channels"}),
    (with_cursor("{conv: {channels: 8, kernel: [1, 3, 3]}}", "|"), {"conv", "non_local", "unit"}, set()),
    (with_cursor("stem: {conv: {channels: 8, kernel: [1, 3, 3]}}", "stem:\n        |"), {"conv", "max_pool"}, set()),
    (with_cursor("stem: {conv: {channels: 8, kernel: [1, 3, 3]}}", "stem:\n      - |"), {"conv", "max_pool"}, set()),
    (with_cursor("stem: {conv: {channels: 8, kernel: [1, 3, 3]}}", "stem: {bot|"), {"bottleneck"}, set()),
    (with_cursor("kernel: [1, 3, 3]", "|"), {"kernel", "stride", "groups", "act"}, {"channels"}),
    (with_cursor("kernel: [1, 3, 3]", "act: |"), {"relu", "gelu", "none"}, {"kernel"}),
    (with_cursor("kernel: [1, 3, 3]", "bias: |"), {"true", "false"}, set()),
    (with_cursor("kernel: [1, 3, 3]", "pad: |"), {"same", "valid"}, set()),
    (with_cursor("kernel: [1, 3, 3]", "norm: {|}"), {"kind", "eps"}, set()),
    (with_cursor("kernel: [1, 3, 3]", "norm: {kind: |}"), {"batch", "layer", "group"}, set()),
    (with_cursor("repeat: 2", "|"), {"repeat"}, {"conv"}),
    (with_cursor("{basic: {channels: 8}", "{basic: {channels: 8, |}"), {"stride", "kernel_t"}, {"channels"}),
    (with_cursor("like: slow", "like: |"), {"slow"}, set()),
    (with_cursor("source: fast", "source: |"), {"slow", "fast"}, set()),
    (with_cursor("target: slow", "target: |"), {"slow", "fast"}, set()),
    (with_cursor("after: [stem, res2]", "after: [stem, |]"), {"stem", "res2"}, set()),
    (with_cursor("after: [stem, res2]", "after: |"), {"stem", "res2"}, set()),
    (with_cursor("after: [stem, res2]", "after: stem, into: |"), {"stem", "res2"}, set()),
    (with_cursor("transform: time_conv", "|"), {"transform", "merge", "share", "into"}, {"source", "after"}),
    (with_cursor("transform: time_conv", "transform: |"), {"time_conv", "time_sample"}, set()),
    (with_cursor("transform: time_conv", "transform: {time_conv: {|}}"), {"kernel", "alpha"}, set()),
    (with_cursor("transform: time_conv", "merge: |"), {"concat", "sum"}, {"time_conv"}),
    (with_cursor("head: {classifier: {classes: 10}}", "head:\n  |"), {"classifier", "dense", "roi"}, {"conv"}),
    (with_cursor("head: {classifier: {classes: 10}}", "head: |"), {"classifier", "dense"}, set()),
    (with_cursor("head: {classifier: {classes: 10}}", "head: {cl|"), {"classifier"}, set()),
    (with_cursor("classes: 10", "classes: 10, |"), {"dropout", "window", "reads"}, {"classes"}),
    (with_cursor("classes: 10", "classes: 10, pool: |"), {"average", "max"}, set()),
    (with_cursor("classes: 10", "classes: 10, reads: [|]"), {"slow", "fast"}, set()),
    (with_cursor("b: {relu: {}, reads: a}", "b: {relu: {}, reads: |}"), {"input", "a"}, {"b"}),
    (with_cursor("out_channels: $channels", "out_channels: $|"), {"$channels"}, set()),
    (with_cursor("b: {relu: {}, reads: a}", "b: {|}"), {"conv", "relu", "basic"}, set()),
    ("extends: slowf|", {"slowfast_8x8_r50", "x3d_m"}, set()),
    ("extends: slowfast_8x8_r50\n|", {"set", "parameters", "name"}, {"extends", "pathways"}),
    ("extends: slowfast_8x8_r50\nset:\n  |", {"pathways", "head", "edges"}, set()),
    ("extends: slowfast_8x8_r50\nset:\n  pathways.|", {"pathways.slow", "pathways.fast"}, {"head"}),
    (
        "extends: slowfast_8x8_r50\nset: {pathways.fast.stages.res2.k|}",
        {"pathways.fast.stages.res2.kernel_t", "pathways.fast.stages.res2.0"},
        set(),
    ),
)


def test_completions_at_many_places(serve: Any) -> None:
    assert len(COMPLETIONS) >= 40

    async def work(session: Session) -> None:
        await session.open(BASE)
        for text, wanted, unwanted in COMPLETIONS:
            labels = set(await session.complete(text))
            assert wanted <= labels, (text[-300:], wanted - labels, labels)
            assert not unwanted & labels, (text[-300:], unwanted & labels)

    serve(work)


def test_a_quick_fix_mends_its_line_and_leaves_the_others(serve: Any) -> None:
    broken = BASE.replace("target: slow", "target: slwo").replace("basic", "basci")

    async def work(session: Session) -> None:
        told = await session.open(broken)
        assert {one.message.partition("\n")[0] for one in told} == {"no block 'basci'", "no pathway 'slwo'"}
        text = broken
        while told:
            [one, *_] = told
            [fix] = await session.fixes(one.range)
            assert fix.edit
            assert fix.edit.changes
            [edit] = fix.edit.changes[session.uri]
            lines = text.split("\n")
            lines[edit.range.start.line] = edit.new_text
            assert edit.range.end.character == len(text.split("\n")[edit.range.start.line])
            text = "\n".join(lines)
            told = await session.type(text)
        assert text == BASE

    serve(work)


def test_hover_and_definition(serve: Any, tmp_path: Path) -> None:
    async def work(session: Session) -> None:
        await session.open(BASE)

        async def hover(word: str, offset: int = 1) -> str:
            position = position_of(BASE[: BASE.index(word) + offset])
            found = await session.client.text_document_hover_async(types.HoverParams(session.document, position))
            assert found
            assert isinstance(found.contents, types.MarkupContent)
            return found.contents.value

        plan = compile(load(BASE_FILE))
        stage = [node for node in plan.nodes if node.address.startswith("slow.res2.")]
        params = sum(plan.costs[node.address].params for node in stage)
        told = await hover("res2")
        assert "stage slow.res2" in told
        assert f"| params | {params:,} |" in told
        assert "× " not in told
        told = await hover("basic")
        assert "block slow.res2.1 to 2" in told
        assert "pathway" not in await hover("frames:")
        assert "edge fast_to_slow at stem" in await hover("time_conv")

        async def line(word: str, offset: int = 1) -> tuple[str, int]:
            position = position_of(BASE[: BASE.index(word) + offset])
            asked = types.DefinitionParams(session.document, position)
            found = await session.client.text_document_definition_async(asked)
            assert isinstance(found, types.Location)
            return found.uri, found.range.start.line

        lines = BASE.splitlines()
        assert await line("like: slow", 7) == (session.uri, lines.index("  slow:"))
        assert await line("res2], transform") == (session.uri, next(i for i, x in enumerate(lines) if "res2: [" in x))
        assert await line("unit: {channels") == (session.uri, lines.index("  unit:"))
        text = "extends: slowfast_8x8_r50\n"
        await session.type(text)
        asked = types.DefinitionParams(session.document, types.Position(0, 12))
        found = await session.client.text_document_definition_async(asked)
        assert isinstance(found, types.Location)
        assert found.uri.endswith("zoo/slowfast.py")
        assert (
            '"slowfast_8x8_r50"'
            in Path(found.uri.removeprefix("file://")).read_text().splitlines()[found.range.start.line]
        )

    BASE_FILE = tmp_path / "net.yaml"
    BASE_FILE.write_text(BASE)
    serve(work)


def test_other_documents_are_left_alone(serve: Any) -> None:
    compose = "services:\n  web:\n    image: nginx\n    extends: other\n"

    async def work(session: Session) -> None:
        assert not await session.open(compose, language="yaml")
        assert await session.complete("services:\n  |") == []
        assert len(await session.type(BASE.replace("slow:", "slwo:"))) > 0

    serve(work)


def test_columns_are_counted_as_the_client_counts(serve: Any) -> None:
    """UTF-16: a character beyond the basic plane counts twice."""
    text = BASE.replace("name: mine", "# 𝒳 𝒳\nname: mine").replace(
        "head: {classifier: {classes: 10}}", 'head: {"𝒳": 1}'
    )

    async def work(session: Session) -> None:
        [one] = await session.open(text)
        line = text.splitlines()[one.range.start.line]
        units = line.encode("utf-16-le")
        got = units[2 * one.range.start.character : 2 * one.range.end.character].decode("utf-16-le")
        assert "𝒳" in got

    serve(work)


def test_the_empty_line_behind_the_last_one_has_a_position() -> None:
    document = TextDocument("file:///net.yaml", source="name: net\n")
    assert own_position(document, types.Position(1, 0)) == (1, 0)
    assert own_position(document, types.Position(0, 4)) == (0, 4)
