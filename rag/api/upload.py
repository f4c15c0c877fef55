"""POST /upload and GET /upload/status: files into the object store, and how they come along.

The bytes are stored before the answer goes out; what happens then is the ingest's matter. A job's
state is read from its documents, so it survives restarts and can not lie.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
from contextlib import suppress
from typing import IO, Annotated, Any

from fastapi import File, Form, UploadFile

from rag.api.principal import Principal
from rag.api.service import Caller, Service, Serving
from rag.errors import ConfigurationError, ConflictError, NotFoundError, PoisonError, RagError
from rag.ingest import access_lists
from rag.model import CollectionName, is_text
from rag.settings import MIB
from rag.sources.selection import ACCESS_LIST
from rag.store import collections, files, hints
from rag.store.collections import Collection
from rag.store.database import Connection, Row
from rag.store.files import Job, NewFile

_BAD_NAME = re.compile("[/\\\\\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_NAME_BYTES = 255
_BLOCK = MIB


def upload(
    service: Serving,
    caller: Caller,
    user_id: Annotated[str, Form(max_length=63)],
    project_id: Annotated[str, Form(max_length=63)],
    files: Annotated[list[UploadFile], File()],
    replace_filenames: Annotated[str | None, Form()] = None,
    rename_map: Annotated[str | None, Form()] = None,
    principals: Annotated[str | None, Form()] = None,
) -> dict[str, Any]:
    """Store files in a collection (`user_id`/`project_id`), made when absent, and have them
    ingested. All files are checked before any is taken. `principals` says who may see them."""
    name = caller.open(CollectionName.parse(f"{user_id}/{project_id}"))
    _check_limits(service, files)
    names = _final_names(files, _object_of(rename_map))
    replaced = _list_of(replace_filenames)
    access = _access_list(principals)
    source = service.bucket.source_uri(name)
    made = [
        NewFile(at, new, file.filename or "", source + new, file.size or 0, _sha256(file.file))
        for at, (file, new) in enumerate(zip(files, names, strict=True))
    ]
    job_id = uuid.uuid4()
    with service.database.connection() as conn:
        _start_job(conn, name, source, job_id, caller, made, replaced)
    errors = [
        _store(service, job_id, new, file, access) for new, file in zip(made, files, strict=True)
    ]
    failed = [error for error in errors if error is not None]
    if len(failed) == len(made):
        raise failed[0]
    with service.database.connection() as conn:
        hints.add_hints(
            conn, [new.uri for new, error in zip(made, errors, strict=True) if not error]
        )
    return {"job_id": str(job_id), "status": "processing", "total_files": len(made)}


def _check_limits(service: Service, given: list[UploadFile]) -> None:
    settings = service.settings
    if len(given) > settings.api_max_files_per_upload:
        raise ConfigurationError(
            f"Too many files. Max {settings.api_max_files_per_upload} allowed per upload.",
            code="too_many_files",
        )
    for file in given:
        if (file.size or 0) > settings.api_max_file_mb * MIB:
            raise ConfigurationError(
                f"{file.filename} exceeds {settings.api_max_file_mb} MB limit",
                code="file_over_limit",
            )


def _object_of(text: str | None) -> dict[str, str]:
    what = "an object of original and new names"
    found = _json(text, "rename_map", what, code="bad_rename_map")
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(new, str) for new in found.values()):
        raise _malformed("rename_map", what, code="bad_rename_map")
    return found


def _list_of(text: str | None) -> list[str]:
    what = "an array of file names"
    found = _json(text, "replace_filenames", what, code="bad_replace_filenames")
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _malformed("replace_filenames", what, code="bad_replace_filenames")
    return found


def _json(text: str | None, field: str, what: str, *, code: str) -> object:
    if not text or not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed(field, what, code=code) from None


def _malformed(field: str, what: str, *, code: str) -> ConfigurationError:
    return ConfigurationError(f"{field} is malformed: send {what} as JSON.", code=code)


def _final_names(given: list[UploadFile], renamed: dict[str, str]) -> list[str]:
    names = [renamed.get(file.filename or "", file.filename or "") for file in given]
    for file, name in zip(given, names, strict=True):
        _check_name(name, file.filename or "")
    if len(set(names)) < len(names):
        raise ConfigurationError(
            "Two files of the upload have the same name: rename one with rename_map.",
            code="duplicate_filename",
        )
    return names


def _check_name(name: str, original: str) -> None:
    is_long = len(name.encode("utf-8", "replace")) > _LONGEST_NAME_BYTES
    if not name.strip(". ") or is_long or _BAD_NAME.search(name) or not is_text(original):
        raise ConfigurationError(
            "A file's name must be 1 to 255 bytes without slashes and control characters: "
            "rename it with rename_map.",
            code="bad_filename",
        )
    if name.endswith(ACCESS_LIST):
        raise ConfigurationError(
            f"A name that ends in {ACCESS_LIST} is an access list's: rename the file, and say who "
            "may see a file in the field `principals`.",
            code="bad_filename",
        )


def _sha256(file: IO[bytes]) -> bytes:
    hasher = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        hasher.update(block)
    return hasher.digest()


def _start_job(
    conn: Connection, name: CollectionName, source: str, job_id: uuid.UUID, caller: Principal,
    made: list[NewFile], replaced: list[str],
) -> None:  # fmt: skip
    """The job, with its collection and source; all or nothing."""
    with conn.transaction():
        collection = _find_or_create(conn, name)
        known = [row["uri"] for row in collections.list_sources(conn, collection)]
        if not any(collections.covers(uri, source) for uri in known):
            collections.add_source(conn, collection, source)
        files.lock_uploads(conn, collection)
        _check_not_on_the_way(conn, collection, made)
        _check_replaced(conn, collection, caller, made, replaced)
        files.create_job(conn, job_id, collection, caller.name, made)


def _find_or_create(conn: Connection, name: CollectionName) -> Collection:
    try:
        return collections.find_collection(conn, name)
    except NotFoundError:
        with suppress(ConflictError):  # another upload was first
            return collections.create_collection(conn, name)
        return collections.find_collection(conn, name)


def _check_not_on_the_way(conn: Connection, collection: Collection, made: list[NewFile]) -> None:
    """Two at a time would leave the bytes of one under the access list of the other."""
    busy = files.on_the_way(conn, collection, [file.uri for file in made])
    if busy:
        names = [file.filename for file in made if file.uri in busy]
        raise ConflictError(
            f"Another upload of {names[0]} is on its way: send this one when that has ended.",
            code="upload_in_progress",
            filenames=names,
        )


def _check_replaced(
    conn: Connection, collection: Collection, caller: Principal, made: list[NewFile],
    replaced: list[str],
) -> None:  # fmt: skip
    """Other content under a name that is taken needs the caller's word; the same again does not,
    so that a request can be repeated. What the caller may not see is not theirs to replace."""
    uris = [file.uri for file in made]
    known = files.content_at(conn, collection, uris, caller.name, caller.principals)
    taken = [
        file.filename
        for file in made
        if (there := known.get(file.uri, file.content_hash)) != file.content_hash
        and (there is None or file.filename not in replaced)
    ]
    if taken:
        raise ConflictError(
            f"{taken[0]} is taken by other content: name it in replace_filenames or, should that "
            "not help, give it another name in rename_map.",
            code="file_exists",
            filenames=taken,
        )


def _access_list(text: str | None) -> bytes | None:
    """The object beside the files that says who may see them; none was asked for, none."""
    what = "an array of names"
    found = _json(text, "principals", what, code="bad_principals")
    if found is None:
        return None
    data = json.dumps({"principals": found}).encode()
    try:
        access_lists.parse(data)
    except PoisonError:
        raise _malformed("principals", what, code="bad_principals") from None
    return data


def _store(
    service: Service, job_id: uuid.UUID, new: NewFile, file: UploadFile, access: bytes | None
) -> RagError | None:
    try:
        if access is not None:  # first: no moment in which everyone sees the file
            service.bucket.put(new.uri + ACCESS_LIST, io.BytesIO(access))
        service.bucket.put(new.uri, file.file)
    except RagError as error:
        with service.database.connection() as conn:
            files.mark_not_stored(conn, job_id, new.position, error.code, error.message)
        return error
    with service.database.connection() as conn:
        files.mark_stored(conn, job_id, new.position)
    return None


def upload_status(job_id: str, service: Serving, caller: Caller) -> dict[str, Any]:
    """How an upload comes along, file by file."""
    with service.reading_for(caller) as conn:
        job = files.find_job(conn, _job_id(job_id))
    if job is None or not caller.may_open(job.name):
        raise _no_job()
    return _as_object(job)


def _job_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _no_job() from None


def _no_job() -> NotFoundError:
    return NotFoundError("Job not found", code="job_not_found")


def _as_object(job: Job) -> dict[str, Any]:
    states = [row["state"] for row in job.files]
    completed = sum(state != "processing" for state in states)
    share = 100.0 * completed / len(states)
    reasons = [row["reason"] for row in job.files if row["state"] == "failed"]
    return {
        "job_id": str(job.id),
        "status": _status(states),
        "total": len(states),
        "completed": completed,
        "progress": share,
        "percent": int(share),
        "last_error": reasons[-1] if reasons else None,
        "created_at": job.created_at_s,
        "files": [_file_object(row) for row in job.files],
    }


def _status(states: list[str]) -> str:
    """processing until every file has ended; then as honest as a word can be."""
    if "processing" in states:
        return "processing"
    if set(states) == {"failed"}:
        return "failed"
    return "completed_with_errors" if "failed" in states else "completed"


def _file_object(row: Row) -> dict[str, Any]:
    error = {"code": row["code"], "message": row["reason"]} if row["code"] else None
    return {
        "filename": row["filename"],
        "original_name": row["original_name"],
        "status": row["state"],
        "stage": row["stage"],
        "error": error,
    }
