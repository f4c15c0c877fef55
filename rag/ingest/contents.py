"""The bytes of a document's version: from the spool, from its source, or out of its mail."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from rag.errors import RagError, TransientError
from rag.ingest.spool import sha256_of
from rag.ingest.terms import Terms
from rag.ingest.workshop import Workshop
from rag.model import SourceObject
from rag.ports import Attachment
from rag.store import content, manifest
from rag.store.database import Row


def take_content(shop: Workshop, terms: Terms, row: Row) -> Path:
    """The file of a version, for the caller alone, who drops it.

    Raises TransientError (`object_changed`) when its bytes are no longer what was registered, and
    whatever stands between us and them."""
    content_hash = bytes(row["content_hash"])
    found = shop.spool.take(content_hash)
    if found is not None:
        return found
    if row["parent_id"] is None:
        return _fetch_again(shop, row, content_hash)
    return _unpack_again(shop, terms, row, content_hash)


def drop_needless(
    shop: Workshop, collection_id: int, spooled: Set[bytes], registered: Set[bytes]
) -> None:
    """Take out of the spool what nobody is going to take: of the `registered` contents those that
    are parsed already (a rename, a copy), and those that were not registered."""
    found = content.parsed_contents(shop.conn, collection_id, shop.parser_name, list(registered))
    for content_hash in found | (spooled - registered):
        shop.spool.discard(content_hash)


@contextmanager
def unpacked(
    shop: Workshop, terms: Terms, mail: Row, path: Path
) -> Iterator[tuple[Attachment, ...]]:
    """What is attached to the mail in `path`, as files that last as long as the block."""
    with tempfile.TemporaryDirectory(prefix="rag-unpack-") as folder:
        yield shop.parser.attachments(terms.job(0, path, mail["uri"]), Path(folder))


def _fetch_again(shop: Workshop, row: Row, content_hash: bytes) -> Path:
    obj = SourceObject(
        uri=row["uri"],
        etag=row["etag"] or "",
        size_bytes=row["size_bytes"],
        modified_at=row["modified_at"],
        version=row["object_version"],
    )
    with shop.spool.incoming(obj.size_bytes) as path:
        shop.open_source(row["source_uri"]).fetch(obj, path)
        if sha256_of(path) != content_hash:
            raise _changed("object")
        return shop.spool.take_incoming(path)


def _unpack_again(shop: Workshop, terms: Terms, row: Row, content_hash: bytes) -> Path:
    """The attachment out of its mail; its neighbours, which are likely wanted next, go to the
    spool."""
    mail = manifest.containers(shop.conn, row["document_id"])[0]
    path = take_content(shop, terms, mail)
    found: Path | None = None
    try:
        with unpacked(shop, terms, mail, path) as attached:
            for attachment in attached:
                with shop.spool.incoming(attachment.path.stat().st_size) as copy:
                    shutil.copyfile(attachment.path, copy)
                    if found is None and sha256_of(copy) == content_hash:
                        found = shop.spool.take_incoming(copy)
                    else:
                        shop.spool.keep(copy)
    except RagError:
        if found is not None:
            shop.spool.drop(found)
        raise
    finally:
        shop.spool.drop(path)
    if found is None:
        raise _changed("mail")
    return found


def _changed(what: str) -> TransientError:
    return TransientError(
        f"The {what} changed after it was registered: the next look registers it anew.",
        code="object_changed",
    )
