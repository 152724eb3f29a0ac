"""The live page's server: on this machine only, for whoever has the token of its address, running only the compiler.

A name that another machine's page makes lead here (DNS rebinding) is not in `Host`; another page's request has its own
`Origin`; neither knows the token. The page loads nothing from elsewhere, and no script but its own runs in it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from archdsl.editor.live.shown import LEVELS, preset, presets, shown
from archdsl.errors import SpecError
from archdsl.spec.budget import MOST_BYTES
from archdsl.spec.files import read_text, write_whole

PAGE_FOLDER = Path(__file__).parent
STATIC = {"page.css": "text/css", "page.js": "text/javascript"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # drawings carry their colours with them
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
EVERY = 0.3
"""Seconds between two looks at the file."""


class Guard:
    """Lets requests pass that have the token, name this server as their host and come from its own page."""

    def __init__(self, app: ASGIApp, token: str, hosts: tuple[str, ...]) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self.refusal(Request(scope))
        await (refused or self.app)(scope, receive, send)

    def refusal(self, request: Request) -> Response | None:
        """Why a request is refused, or None."""
        origin = request.headers.get("origin")
        if request.headers.get("host") not in self.hosts:
            return PlainTextResponse("another host\n", 403)
        if origin is not None and origin not in [f"http://{host}" for host in self.hosts]:
            return PlainTextResponse("another origin\n", 403)
        given = request.headers.get("x-archdsl-token") or request.query_params.get("token") or ""
        if request.url.path.lstrip("/") in STATIC or hmac.compare_digest(given.encode(), self.token.encode()):
            return None
        return PlainTextResponse("no token, or a wrong one: use the address that `archdsl live` printed\n", 403)


class Spec:
    """The file that the page shows. What both sides write is told apart by its hash."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def text(self) -> str:
        """What the file says; nothing while there is none."""
        return read_text(self.file, MOST_BYTES) if self.file.exists() else ""

    def write(self, text: str, seen: str) -> bool:
        """Write a text over the one that the page has seen; False where another one stands there by now."""
        now = self.text()
        if mark(now) != seen and now != text:
            return False
        if now != text:
            write_whole(self.file, text.encode("utf-8"))
        return True


def mark(text: str) -> str:
    """What tells one text from another."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def live_app(file: Path, token: str, hosts: tuple[str, ...]) -> Starlette:
    """The application: the page, its parts, and what it asks."""
    spec = Spec(file)

    async def page(request: Request) -> Response:
        return FileResponse(PAGE_FOLDER / "page.html", media_type="text/html", headers=HEADERS)

    async def static(request: Request) -> Response:
        name = request.url.path.lstrip("/")
        return FileResponse(PAGE_FOLDER / name, media_type=STATIC[name], headers=HEADERS)

    async def read(request: Request) -> Response:
        asked = await body_of(request)
        level = next((level for level in LEVELS if level == asked.get("level")), "stage")
        return json_answer(await run_in_threadpool(shown, str(asked.get("text", "")), file, level))

    async def write(request: Request) -> Response:
        asked = await body_of(request)
        text = str(asked.get("text", ""))
        if await run_in_threadpool(spec.write, text, str(asked.get("seen", ""))):
            return json_answer({"mark": mark(text)})
        now = spec.text()
        return json_answer({"text": now, "mark": mark(now)}, 409)

    async def names(request: Request) -> Response:
        return json_answer({"names": await run_in_threadpool(presets)})

    async def zoo(request: Request) -> Response:
        return json_answer({"text": await run_in_threadpool(preset, request.path_params["name"])})

    async def events(request: Request) -> Response:
        return StreamingResponse(file_events(spec), media_type="text/event-stream", headers=HEADERS)

    routes = [
        Route("/", page),
        *(Route(f"/{name}", static) for name in STATIC),
        Route("/read", read, methods=["POST"]),
        Route("/write", write, methods=["POST"]),
        Route("/names", names),
        Route("/zoo/{name}", zoo),
        Route("/events", events),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, hosts=hosts)],
        exception_handlers={SpecError: spec_error_answer, ValueError: bad_request},
    )


async def body_of(request: Request) -> dict[str, Any]:
    """A request's JSON, as long as a spec may be. Raises ValueError for anything else."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > 2 * MOST_BYTES:
            raise ValueError("a text too long")
    asked = json.loads(data)
    if not isinstance(asked, dict):
        raise ValueError("no mapping")
    return asked


async def spec_error_answer(request: Request, error: Exception) -> Response:
    """A fault of the file or of a name, for the page to show."""
    return json_answer({"error": str(error)}, 422)


async def bad_request(request: Request, error: Exception) -> Response:
    """A request that the page would not make."""
    return json_answer({"error": str(error)}, 400)


def json_answer(data: dict[str, Any], status: int = 200) -> Response:
    """JSON with the headers of every answer."""
    return JSONResponse(data, status, headers=HEADERS)


async def file_events(spec: Spec) -> AsyncIterator[str]:
    """The file's text, now and whenever it changes, as server-sent events."""
    last = None
    while True:
        try:
            text = await run_in_threadpool(spec.text)
            data = {"text": text, "mark": mark(text)}
        except SpecError as error:
            data = {"error": str(error)}
        if data != last:
            yield f"data: {json.dumps(data)}\n\n"
            last = data
        await asyncio.sleep(EVERY)


def listening(port: int) -> socket.socket:
    """A socket on this machine's own address. Raises SpecError for a port that is taken."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError as error:
        made.close()
        want = "a free port, or none to have one chosen"
        raise SpecError(f"cannot listen on port {port}", got=error.strerror or str(error), want=want) from None
    made.listen()
    return made


def serve(file: Path, port: int, told: Any) -> None:
    """Serve the page of a file until it is interrupted; `told` is called with its address once it can be opened."""
    made = listening(port)
    number, token = made.getsockname()[1], token_urlsafe(24)
    hosts = (f"127.0.0.1:{number}", f"localhost:{number}")
    config = uvicorn.Config(
        live_app(file, token, hosts), log_level="warning", lifespan="off", timeout_graceful_shutdown=1, ws="none"
    )
    told(f"http://{hosts[0]}/?token={token}")
    uvicorn.Server(config).run(sockets=[made])
