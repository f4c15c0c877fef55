"""Files attached to mails, registered as documents of their own beside their mail."""

from __future__ import annotations

import shutil
from typing import NamedTuple

from rag.errors import PolicyError, RagError
from rag.ingest.contents import drop_needless, take_content, unpacked
from rag.ingest.retry import file_failures, next_attempt
from rag.ingest.terms import Terms
from rag.ingest.workshop import StageReport, Workshop
from rag.model import SourceObject
from rag.ports import Attachment
from rag.store import content, ledger, manifest
from rag.store.content import Build
from rag.store.database import Row
from rag.store.ledger import Failure
from rag.store.manifest import Scope

# a mail in a mail in a mail is seen in practice; each level may multiply the work by 200
MAX_DEPTH = 3
# of one object with all that is in it: what one upload can cost stays within one run's reach
MAX_IN_ONE_OBJECT = 500
# a key of 1,024 bytes with three such names fits the index of names (2,704 bytes)
_NAME_BYTES = 200


class _Found(NamedTuple):
    """An attachment as the manifest knows it."""

    obj: SourceObject
    content_hash: bytes


def unpack_attachments(shop: Workshop, terms: Terms, build: Build, report: StageReport) -> int:
    """Register what is attached to parsed mails, and delete what no longer is. Returns how many
    mails were unpacked; one that can not be is a dead letter of its own and stays searchable."""
    name = shop.parser_name
    mails = content.select(shop.conn, "packed", build, fingerprint=name)
    done = 0
    for mail in mails:
        try:
            found = _found(shop, terms, mail)
        except RagError as error:
            _file_failure(shop, mail, error, name)
            continue
        kept = _register(shop, build, mail, found)
        spooled, registered = ({item.content_hash for item in some} for some in (found, kept))
        drop_needless(shop, build.collection_id, spooled, registered)
        report.add("attachments", len(kept))
        done += 1
    return done


def attachment_uri(mail_uri: str, attachment: Attachment) -> str:
    """The name of the document that an attachment becomes, short enough to be indexed."""
    stem, dot, suffix = attachment.name.rpartition(".")
    ending = (dot + suffix).encode()[:40] if stem else b""
    whole = (stem or suffix).encode()[: _NAME_BYTES - len(ending)] + ending
    name = whole.decode(errors="ignore")
    return f"{mail_uri}#attachment={attachment.ordinal + 1}/{name}"


def _found(shop: Workshop, terms: Terms, mail: Row) -> list[_Found]:
    """What is attached to the mail, its bytes in the spool as far as there is room."""
    above = manifest.containers(shop.conn, mail["document_id"])
    path = take_content(shop, terms, mail)
    try:
        with unpacked(shop, terms, mail, path) as attached:
            if attached:
                _check_bounds(shop, mail, above, len(attached))
            return [_spooled(shop, mail, attachment) for attachment in attached]
    finally:
        shop.spool.drop(path)


def _check_bounds(shop: Workshop, mail: Row, above: list[Row], number: int) -> None:
    """Raises PolicyError (`attachments_too_deep`, `too_many_attachments`)."""
    if len(above) >= MAX_DEPTH:
        raise PolicyError(
            f"The mail is attached to a mail, {MAX_DEPTH} levels deep: its own attachments are "
            "left out; store it apart to have them.",
            code="attachments_too_deep",
        )
    outermost = above[-1]["document_id"] if above else mail["document_id"]
    there = manifest.count_with_attachments(shop.conn, outermost)
    there -= manifest.count_with_attachments(shop.conn, mail["document_id"])
    if there + number > MAX_IN_ONE_OBJECT:
        raise PolicyError(
            f"More than {MAX_IN_ONE_OBJECT} files are attached to the mail and the mails in it: "
            "store some of them apart.",
            code="too_many_attachments",
        )


def _spooled(shop: Workshop, mail: Row, attachment: Attachment) -> _Found:
    size = attachment.path.stat().st_size
    with shop.spool.incoming(size) as copy:
        shutil.copyfile(attachment.path, copy)
        content_hash = shop.spool.keep(copy)
    uri = attachment_uri(mail["uri"], attachment)
    return _Found(SourceObject(uri, content_hash.hex(), size, mail["modified_at"]), content_hash)


def _register(shop: Workshop, build: Build, mail: Row, found: list[_Found]) -> list[_Found]:
    """One transaction: the documents, their versions, their link to the mail, and the deletion of
    those that are gone. Returns those that are registered: none, when the mail is not what it was
    any more."""
    scope = Scope(build.collection_id, mail["source_id"], (build.shard,))
    parent_id = mail["document_id"]
    with shop.conn.transaction():
        manifest.lock_shard(shop.conn, build.collection_id, build.shard)
        if not manifest.is_packed(shop.conn, parent_id, mail["version_id"]):
            return []
        uris = [item.obj.uri for item in found]
        allowed = manifest.attachable(shop.conn, scope, parent_id, uris)
        kept = [item for item in found if item.obj.uri in allowed]
        objects = [item.obj for item in kept]
        hashes = [item.content_hash for item in kept]
        ids = manifest.upsert_documents(shop.conn, scope, build.shard, [obj.uri for obj in objects])
        manifest.insert_versions(shop.conn, scope, objects, hashes, shop.run_id)
        manifest.record_look(shop.conn, scope, objects)
        manifest.attach(shop.conn, parent_id, list(ids.values()))
        ledger.resolve(shop.conn, ["unpack"], [parent_id])
    return kept


def _file_failure(shop: Workshop, mail: Row, error: RagError, name: str) -> None:
    document_id = mail["document_id"]
    before = ledger.attempts_so_far(shop.conn, "unpack", [document_id])
    failure = Failure(
        document_id=document_id,
        version_id=mail["version_id"],
        uri=mail["uri"],
        stage="unpack",
        error=error,
        attempts=next_attempt(before, document_id, name, error),
        fingerprint=name,
    )
    file_failures(shop, [failure])
