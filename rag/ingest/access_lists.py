"""Access lists: `<name>.acl.json` beside an object says who may see it: {"principals": [...]}.

Such an object is no document. Whoever can not read it lets nobody in: a list that is broken hides
its document from all but operators, and one that can not be fetched stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.errors import PoisonError, RagError, TransientError
from rag.fingerprint import shard_index
from rag.ingest.spool import Spool
from rag.model import Listing, Shard, SourceObject, is_text
from rag.ports import Source
from rag.sources.selection import ACCESS_LIST
from rag.store import access_lists, manifest
from rag.store.database import Connection
from rag.store.manifest import Scope

_MOST_BYTES = 1024 * 1024
_MOST_PRINCIPALS = 10_000


@dataclass(frozen=True, slots=True)
class AccessChange:
    """The list of the document at `uri` is new or changed (its object), or gone (None)."""

    uri: str
    obj: SourceObject | None

    @property
    def etag(self) -> str | None:
        """Names what the list says now."""
        return None if self.obj is None else self.obj.etag


def apart(listing: Listing) -> tuple[Listing, dict[str, SourceObject]]:
    """The documents of a listing, and its access lists by their documents' uris: these are known
    when the documents have all been seen."""
    lists: dict[str, SourceObject] = {}

    def is_document(obj: SourceObject) -> bool:
        if obj.uri.endswith(ACCESS_LIST):
            lists[obj.uri.removesuffix(ACCESS_LIST)] = obj
            return False
        return True

    return listing.taking(is_document), lists


def changes(
    conn: Connection,
    scope: Scope,
    lists: Mapping[str, SourceObject],
    is_complete: bool,
    shard: Shard | None,
) -> tuple[AccessChange, ...]:
    """How the lists differ from those read before. Only a complete listing takes one away."""
    known = access_lists.known_lists(conn, scope.source_id)
    found = [
        AccessChange(uri, obj) for uri, obj in sorted(lists.items()) if known.get(uri) != obj.etag
    ]
    if found:
        erased = access_lists.erased(conn, scope.collection_id, [change.uri for change in found])
        found = [change for change in found if change.uri not in erased]
    if is_complete:
        found += [AccessChange(uri, None) for uri in sorted(known.keys() - lists.keys())]
    return tuple(change for change in found if _is_ours(change.uri, shard))


def _is_ours(uri: str, shard: Shard | None) -> bool:
    return shard is None or shard.count == 1 or shard_index(uri, shard.count) == shard.index


def take_over(
    conn: Connection, scope: Scope, source: Source, work: Sequence[AccessChange], spool: Spool
) -> dict[str, str]:
    """Read the changed lists and enforce them, in one transaction; returns what was wrong with
    which."""
    if not work:
        return {}
    read = [(change, _read(source, change.obj, spool)) for change in work if change.obj is not None]
    gone = [change.uri for change in work if change.obj is None]
    with conn.transaction():
        manifest.lock_shard(conn, scope.collection_id, scope.shards[0])
        for change, found in read:
            if isinstance(found, TransientError):
                access_lists.hide_unless_listed(conn, scope.source_id, change.uri)
            else:
                names = () if isinstance(found, RagError) else found
                access_lists.set_list(conn, scope.source_id, change.uri, change.etag or "", names)
        access_lists.drop_lists(conn, scope.source_id, gone)
        access_lists.enforce(conn, scope.collection_id, scope.shards[0])
    return {change.uri: found.code for change, found in read if isinstance(found, RagError)}


def _read(source: Source, obj: SourceObject, spool: Spool) -> tuple[str, ...] | RagError:
    try:
        if obj.size_bytes > _MOST_BYTES:
            raise _bad("it is larger than 1 MiB")
        with spool.incoming(obj.size_bytes) as path:
            source.fetch(obj, path)
            return parse(path.read_bytes())
    except RagError as error:
        return error


def parse(data: bytes) -> tuple[str, ...]:
    """The principals that an access list names. Raises PoisonError (`bad_access_list`)."""
    try:
        found = json.loads(data)["principals"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _bad('it is not {"principals": [...]}') from None
    if not isinstance(found, list) or len(found) > _MOST_PRINCIPALS:
        raise _bad("`principals` is no list of at most 10,000")
    if not all(isinstance(name, str) and name and is_text(name) for name in found):
        raise _bad("a principal is no text")
    return tuple(dict.fromkeys(found))


def _bad(reason: str) -> PoisonError:
    return PoisonError(
        f"The access list is not usable: {reason}. Nobody but operators sees its document until it "
        "is corrected.",
        code="bad_access_list",
    )
