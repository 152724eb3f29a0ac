"""A headless Chromium that really clicks: its own protocol over two pipes, nothing to install for Python."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from base64 import b64decode
from itertools import count
from pathlib import Path
from shutil import which
from typing import Any

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
NO_CHROMIUM = "no chromium, chromium-browser or google-chrome on the PATH"
PATIENCE = 60.0


class Browser:
    """One page of one Chromium."""

    def __init__(self, profile: Path, width: int = 1400, height: int = 900) -> None:
        from_here, to_there = os.pipe(), os.pipe()
        flags = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars"
        command = f'exec "$0" {flags} --remote-debugging-pipe --user-data-dir="$1" --window-size={width},{height} '
        command += f"about:blank 3<&{from_here[0]} 4>&{to_there[1]}"
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", command, str(CHROMIUM), str(profile)],
            pass_fds=(from_here[0], to_there[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_here[0])
        os.close(to_there[1])
        self.pipe, self.read = from_here[1], to_there[0]
        self.buffer, self.ids, self.session = b"", count(1), None
        self.complaints: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; what the page complains of meanwhile is kept."""
        number = next(self.ids)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.pipe, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            got = self.message(end)
            if got.get("id") == number:
                assert "error" not in got, got["error"]
                return got["result"]
            self.on_signal(got)

    def message(self, end: float) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(end - time.monotonic(), 0))
            chunk = os.read(self.read, 1 << 20) if ready else b""
            assert chunk, "Chromium says nothing"
            self.buffer += chunk
        first, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(first)

    def on_signal(self, got: dict[str, Any]) -> None:
        """Keep errors and warnings of the console."""
        params = got.get("params", {})
        match got.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(params["entry"]["text"])

    def open(self, page: Path | str) -> None:
        """A file or an address, until it is loaded."""
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        while self.run("document.readyState") != "complete" or self.run("location.href") == "about:blank":
            assert time.monotonic() < end, "the page does not load"

    def run(self, script: str) -> Any:
        """What an expression gives on the page."""
        got = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def middle(self, selector: str) -> tuple[float, float]:
        """Where the pointer meets an element."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        return x, y

    def point(self, selector: str) -> None:
        """Move the pointer onto an element."""
        x, y = self.middle(selector)
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        """Press and release the button on an element."""
        x, y = self.middle(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def until(self, script: str) -> Any:
        """What an expression gives on the page as soon as that is true."""
        end = time.monotonic() + PATIENCE
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"never so: {script}"
            time.sleep(0.02)
        return found

    def write(self, text: str) -> None:
        """Type a text where the cursor is."""
        self.ask("Input.insertText", text=text)

    def picture(self, path: Path) -> None:
        """What is seen, as PNG."""
        path.write_bytes(b64decode(self.ask("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self.pipe)
        os.close(self.read)
