"""/mcp: the tools of rag.mcp over HTTP, under the same keys and access rules as every route."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rag.api.faults import fault_of
from rag.api.principal import Principal
from rag.api.trail import Trail
from rag.errors import RagError
from rag.mcp.server import serve_request
from rag.model import CollectionName

PATH = "/mcp"


@dataclass(frozen=True, slots=True)
class _KeyHolder:
    """A caller as the tools see one."""

    principal: Principal
    trail: Trail

    @property
    def name(self) -> str:
        return self.principal.name

    @property
    def principals(self) -> tuple[str, ...] | None:
        return self.principal.principals

    def open(self, name: CollectionName) -> CollectionName:
        """The name, if it is within the key's scope."""
        return self.principal.open(name)

    def saw(self, name: CollectionName, document_id: int) -> None:
        """The request's log line names it."""
        self.trail.note(name, [document_id])

    def wording(self, error: RagError) -> str:
        """What the routes answer, too: nothing of servers, nothing of what is not theirs."""
        return fault_of(error).message


class _Endpoint:
    """The ASGI application behind the path. The gate has been passed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = _KeyHolder(scope["state"]["principal"], scope["state"]["trail"])
        await serve_request(scope["app"].state.desk, visitor, scope, receive, send)


def route() -> Route:
    """The path, for every method of the protocol."""
    return Route(PATH, endpoint=_Endpoint(), include_in_schema=False)
