"""The live page: what it shows and follows, in a real browser; whom its server answers."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import archdsl
from archdsl import SpecError
from archdsl.cli.arguments.parser import parser
from archdsl.cli.editor import live_command
from archdsl.editor.live import shown as live
from archdsl.editor.live.server import body_of, mark
from archdsl.editor.live.shown import shown
from archdsl.spec.budget import MOST_BYTES
from tests.browser import CHROMIUM, NO_CHROMIUM, Browser

SPEC = """\
name: mine
clip: {frames: 8, size: 32}
pathways:
  slow:
    every: 4
    stages:
      stem: {conv: {channels: 8, kernel: [1, 3, 3]}}
      res2: {basic: {channels: 8}, repeat: 2}
  fast:
    every: 1
    stages:
      stem: {conv: {channels: 4, kernel: [3, 3, 3]}}
      res2: {basic: {channels: 4}, repeat: 2}
edges:
- {source: fast, target: slow, after: [stem, res2], transform: {time_conv: {alpha: 4}}}
head: {classifier: {classes: 10}}
"""


def test_what_is_extended_is_compiled_once_for_each_state_of_its_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(live, "compile", lambda arch: compiled.append(arch.name) or archdsl.compile(arch))
    live.base_plan.cache_clear()
    for frames in (8, 16, 32):  # three keystrokes
        text = f"name: next\nextends: {file.name}\nset: {{clips.clip.frames: {frames}}}\n"
        changes = shown(text, file.parent / "next.yaml", "stage")["changes"]
        assert ("no difference" in changes) == (frames == 8)
    assert compiled == ["mine"]
    file.write_text(SPEC.replace("classes: 10", "classes: 12"), encoding="utf-8")
    assert "input" in shown(text, file.parent / "next.yaml", "stage")["changes"]
    assert compiled == ["mine", "mine"]


class Server:
    """`archdsl live` on a file, in a process of its own."""

    def __init__(self, file: Path) -> None:
        command = [sys.executable, "-m", "archdsl", "live", str(file), "--no-browser"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        line = self.process.stderr.readline()
        self.address = re.findall(r"http://\S+", line)[0]
        parts = urlsplit(self.address)
        self.host, self.token = parts.netloc, parse_qs(parts.query)["token"][0]

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        link = http.client.HTTPConnection(self.host, timeout=30)
        data = json.dumps(body) if body is not None else None
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(link):
            link.request("POST" if data else "GET", path, data, given)
            answer = link.getresponse()
            return answer.status, answer.read().decode()

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    made = Server(file)
    yield made
    made.close()


def test_views_of_a_text(file: Path) -> None:
    data = shown(SPEC, file, "stage")
    assert data["findings"] == []
    assert data["title"] == "mine"
    assert data["drawing"].startswith("<svg")
    assert "<table" in data["table"]
    assert data["changes"] is None
    [fault, *_] = shown(SPEC.replace("alpha: 4", "alpha: 8"), file, "stage")["findings"]
    assert "concat of maps that differ in t" in fault["text"]
    assert fault["start"][0] == SPEC.splitlines().index(next(x for x in SPEC.splitlines() if "alpha" in x))
    assert "alpha: 4" in fault["mended"]
    extended = "extends: slowfast_8x8_r50\nset: {pathways.fast.width_ratio: 1/16}\n"
    assert "fast" in shown(extended, file, "stage")["changes"]


def test_whom_it_answers(server: Server, file: Path) -> None:
    own = {"x_archdsl_token": server.token}
    text = {"text": SPEC, "level": "stage"}
    assert server.ask("/read", text, **own)[0] == 200
    assert server.ask("/read", text)[0] == 403
    assert server.ask("/read", text, x_archdsl_token="a" * len(server.token))[0] == 403
    assert server.ask("/read", text, **own, origin="http://evil.example")[0] == 403
    assert server.ask("/read", text, **own, origin=f"http://{server.host}")[0] == 200
    assert server.ask("/read", text, **own, host="evil.example")[0] == 403
    assert server.ask(f"/?token={server.token}")[0] == 200
    assert server.ask("/")[0] == 403
    assert server.ask("/events")[0] == 403
    assert server.ask("/zoo/x3d_m", **own)[0] == 200
    assert server.ask("/zoo/x3d_mm", **own)[0] == 422
    assert server.ask("/zoo/..%2f..%2fetc%2fpasswd", **own)[0] in (404, 422)
    assert server.ask("/../pyproject.toml", **own)[0] == 404
    assert server.ask("/read", ["no mapping"], **own)[0] == 400
    assert server.ask("/read", {"text": "a" * 30_000_000}, **own)[0] == 400
    assert server.ask("/write", {"text": "lost", "seen": "another"}, **own)[0] == 409
    assert file.read_text(encoding="utf-8") == SPEC
    status, answer = server.ask("/write", {"text": "kept", "seen": mark(SPEC)}, **own)
    assert (status, json.loads(answer)) == (200, {"mark": mark("kept")})
    assert file.read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize(("name", "want"), [("net.py", "nothing but data"), ("folder.yaml", "a regular file")])
def test_what_cannot_be_shown(name: str, want: str, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(SpecError, match=want):
        live_command(parser().parse_args(["live", str(tmp_path / name)]))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path / "profile")
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_a_wrong_alpha_is_seen_and_mended_in_the_browser(server: Server, file: Path, browser: Browser) -> None:
    browser.open(server.address)
    browser.until("document.querySelector('#drawing svg') && document.querySelector('#table table') !== null")
    assert browser.run("document.querySelectorAll('#behind .fault').length") == 0
    drawn = browser.run("document.querySelector('#drawing').innerHTML")
    at = SPEC.index("alpha: 4") + len("alpha: ")
    browser.run(f"text.focus(); text.setSelectionRange({at}, {at + 1})")
    browser.write("8")
    told = browser.until("(document.querySelector('#findings pre') || {}).textContent")
    assert "concat of maps that differ in t" in told
    assert browser.until("document.querySelectorAll('#behind .fault').length") >= 1
    assert browser.run("document.body.classList.contains('stale')")
    browser.click("#findings .fix")
    browser.until("document.querySelectorAll('#findings li').length === 0 && !document.body.matches('.stale')")
    assert browser.run("text.value") == SPEC
    at = SPEC.index("channels: 8") + len("channels: ")
    browser.run(f"text.focus(); text.setSelectionRange({at}, {at + 1})")
    browser.write("16")
    browser.until(f"document.querySelector('#drawing').innerHTML !== {json.dumps(drawn)}")
    browser.until("document.querySelector('#state').textContent === 'saved'")
    assert file.read_text(encoding="utf-8") == SPEC.replace("channels: 8", "channels: 16", 1)
    file.write_text(SPEC.replace("mine", "theirs"), encoding="utf-8")  # another editor
    browser.until("document.title === 'theirs' && text.value.startsWith('name: theirs')")
    assert browser.complaints == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_presets_levels_and_hostile_names_in_the_browser(server: Server, file: Path, browser: Browser) -> None:
    browser.open(server.address)
    browser.until("document.title === 'mine'")
    browser.click("[data-level=op]")
    browser.until("document.querySelector('#drawing').textContent.includes('norm')")
    browser.run("$('preset').value = 'slowfast_8x8_r50'")
    browser.click("#extend")
    browser.until("document.title === 'my_slowfast_8x8_r50' && !$('changes').hidden")
    hostile = '<img src=x onerror="window.owned = 1">'
    browser.run(f"text.value = {json.dumps(SPEC.replace('mine', json.dumps(hostile)[1:-1]))}; text.oninput()")
    browser.until("document.querySelectorAll('#findings li').length > 0")
    browser.run(f"text.value = {json.dumps(SPEC.replace('slow:', repr(hostile) + ':'))}; text.oninput()")
    browser.until("$('findings').textContent.includes('onerror')")
    assert browser.run("window.owned") is None
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.complaints == []


def test_what_a_text_changes_in_a_file_beside_it_and_in_the_zoo(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = file.parent / "base.yaml"
    base.write_text("extends: slowfast_tiny\n", encoding="utf-8")
    text = "extends: {}\nset: {{head.classes: 3}}\n"
    of_file = shown(text.format("base.yaml"), file, "stage")["changes"]
    base.write_text("extends: slowfast_tiny\nset: {head.classes: 3}\n", encoding="utf-8")  # read anew each time
    assert "head" in of_file
    assert "head" not in shown(text.format("base.yaml"), file, "stage")["changes"]

    live.zoo_plan.cache_clear()
    first = shown(text.format("slowfast_tiny"), file, "stage")["changes"]
    monkeypatch.setattr(live, "compile", None)  # a zoo model is compiled once
    assert shown(text.format("slowfast_tiny"), file, "stage")["changes"] == first
    assert "head" in first


@pytest.mark.parametrize(("more", "kept"), [(0, True), (1, False)])
def test_a_request_is_twice_as_long_as_a_spec_at_most(more: int, kept: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{}"
        yield b" " * (2 * MOST_BYTES - 2 + more)

    request: Any = SimpleNamespace(stream=chunks)
    if kept:
        assert asyncio.run(body_of(request)) == {}
    else:
        with pytest.raises(ValueError, match="a text too long"):
            asyncio.run(body_of(request))
