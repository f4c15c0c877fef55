"""The web page: a few static files, served to everybody; what they show comes from the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

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


def routes() -> list[Route]:
    """One route per file, so that no path is ever put together from a request."""
    return [Route(path, _sender(name), methods=["GET"]) for name, path in paths().items()]


def paths() -> dict[str, str]:
    """Where each file is served."""
    return {name: "/" if name == "index.html" else f"/page/{name}" for name in FILES}


def missing() -> list[str]:
    """Files of the page that the installation lacks."""
    return [name for name in FILES if not (files("rag.api") / "page" / name).is_file()]


def _sender(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(_request: Request) -> Response:
        return Response(_content(name), media_type=_TYPES[name.rpartition(".")[2]],
                        headers=_HEADERS)  # fmt: skip

    return send


@cache
def _content(name: str) -> bytes:
    return (files("rag.api") / "page" / name).read_bytes()
