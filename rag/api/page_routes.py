"""The web page: a few static files, served to everybody; what they show comes from the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FILES = (
    "index.html", "style.css", "icon.svg", "app.js", "api.js", "ask.js", "documents.js",
    "element.js", "passage.js", "stream.js", "system.js", "upload.js",
)  # fmt: skip
# the viewer of the API's description, served from here: nobody needs the Internet to read it
VIEWER = ("docs.html", "docs.js", "swagger-ui-bundle.js", "swagger-ui.css")
_VIEWER_PACKAGE = "fastapi_offline"
# nothing from elsewhere, nothing inline, in no frame of others
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}
# the viewer writes its own markup and small pictures
_VIEWER_HEADERS = _HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def routes() -> list[Route]:
    """One route per file, so that no path is ever put together from a request."""
    return [Route(path, _sender(name), methods=["GET"]) for name, path in paths().items()]


def paths() -> dict[str, str]:
    """Where each file is served."""
    page = {name: "/" if name == "index.html" else f"/page/{name}" for name in FILES}
    viewer = {name: "/docs" if name == "docs.html" else f"/docs/{name}" for name in VIEWER}
    return page | viewer


def missing() -> list[str]:
    """Files of the page that the installation lacks."""
    return [name for name in (*FILES, *VIEWER) if not _place(name).is_file()]


def _sender(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(_request: Request) -> Response:
        headers = _VIEWER_HEADERS if name in VIEWER else _HEADERS
        kind = _TYPES[name.rpartition(".")[2]]
        return Response(_content(name), media_type=kind, headers=headers)

    return send


@cache
def _content(name: str) -> bytes:
    return _place(name).read_bytes()


def _place(name: str) -> Traversable:
    if name.startswith("swagger-ui"):
        return files(_VIEWER_PACKAGE) / "static" / name
    return files("rag.api") / "page" / name
