"""What of documents went out with an answer: the request's log line names them, for audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from rag.model import CollectionName


@dataclass(slots=True)
class Trail:
    """Documents whose text, summary or picture was read for one request. They are named by their
    ids, as in the query log: a file's name can be content."""

    _seen: dict[str, set[int]] = field(default_factory=dict)

    def note(self, name: CollectionName, document_ids: Iterable[int]) -> None:
        """These documents of the collection were read."""
        self._seen.setdefault(str(name), set()).update(document_ids)

    def retrieved(self) -> dict[str, list[int]]:
        """The ids by collection; a collection in which nothing was found is there, too."""
        return {name: sorted(ids) for name, ids in self._seen.items()}


async def _trail(request: Request) -> Trail:
    found: Trail = request.state.trail
    return found


Trailing = Annotated[Trail, Depends(_trail)]
