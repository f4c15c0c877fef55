"""What the routes work with, and how it starts and stops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from rag.api.bucket import Bucket
from rag.api.meters import Meters
from rag.api.pages import PageImages
from rag.api.pool import Database
from rag.api.principal import Principal
from rag.api.warmth import WarmEmbedder
from rag.asking import Embedders, Finder
from rag.errors import ConfigurationError, UnavailableError
from rag.ports import Embedder, Reranker
from rag.recipe import recipe_of
from rag.settings import Settings
from rag.store import access
from rag.store.database import Connection
from rag.store.memory import Memory

_LOG = logging.getLogger("rag.api")


@dataclass(slots=True)
class Service:
    """The parts of one running service."""

    settings: Settings
    database: Database
    embedder: WarmEmbedder
    bucket: Bucket
    pages: PageImages
    model_name: str
    reranker: Reranker | None = None
    load: Callable[[Settings], Embedder] | None = None  # models of other recipes than the settings'
    meters: Meters = field(default_factory=Meters)
    is_stopping: bool = False
    _is_guarded: bool = False
    _as_reader: bool | None = None
    finder: Finder = field(init=False)

    def __post_init__(self) -> None:
        # the first question after another model went live waits for it to load
        embedders = Embedders(self.settings, self._open_engine)
        memory = Memory(self.settings.api_index_memory_mb << 20)
        self.finder = Finder(embedders, self.reranker, memory)

    def reading(self, namespace: str) -> AbstractContextManager[Connection]:
        """A transaction on one namespace, under row-level security where the server has it."""
        return self.database.reading(namespace, as_reader=self.reads_as_reader())

    def reading_for(self, caller: Principal) -> AbstractContextManager[Connection]:
        """A transaction on all that a caller's key opens: one namespace, or, for an operator, all
        of them, and then row-level security has nothing to hold back."""
        if caller.scope.namespace is None:
            return self.database.reading("", as_reader=False)
        return self.reading(caller.scope.namespace)

    def _open_engine(self, settings: Settings) -> Embedder:
        own, wanted = recipe_of(self.settings), recipe_of(settings)
        if all(own[part] == wanted[part] for part in ("embedding_model", "embedding_precision")):
            return cast("Embedder", self.embedder)
        if self.load is None:
            raise UnavailableError(
                f"This service can not open {settings.embedding_model}: restart it.",
                code="no_engines",
            )
        return self.load(settings)

    def start(self) -> None:
        """Open the pool and warm the model. Raises ConfigurationError (`open_to_the_network`)
        when it would listen beyond this machine and nobody needs a key."""
        self.database.open()
        self.embedder.start()
        if not self.settings.serves_this_machine_only and not self.is_guarded():
            raise ConfigurationError(
                f"No API key exists, so the service may not listen on {self.settings.api_host}: "
                "make one with `rag key create`, or set RAG_API_HOST to 127.0.0.1.",
                code="open_to_the_network",
            )
        try:
            self._warn()
        except UnavailableError:
            _LOG.warning("database_unavailable")

    def _warn(self) -> None:
        if not self.is_guarded():
            _LOG.warning("no_api_key: whoever is on this machine may do everything")
        if not self.reads_as_reader():
            _LOG.warning("no_row_level_security: role rag_reader can not be taken")

    def stop(self) -> None:
        """Let go of everything."""
        self.is_stopping = True
        self.database.close()

    def is_guarded(self) -> bool:
        """Whether callers need a key: once one was made, always."""
        if not self._is_guarded:
            with self.database.connection() as conn:
                self._is_guarded = access.is_guarded(conn)
        return self._is_guarded

    def reads_as_reader(self) -> bool:
        """Whether what is read for callers is read under row-level security."""
        if self._as_reader is None:
            with self.database.connection() as conn:
                self._as_reader = access.can_read_as_reader(conn)
        return self._as_reader


# asynchronous, or each would be sent to a thread of its own
async def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


async def _principal(request: Request) -> Principal:
    found: Principal = request.state.principal
    return found


Serving = Annotated[Service, Depends(_service)]
Caller = Annotated[Principal, Depends(_principal)]
