"""On which terms a collection's files are parsed: its passwords and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rag.model import CollectionName
from rag.ports import FileLimits, ParseJob
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Terms:
    """What every file of a collection is parsed with; `limits` None means the parser's own."""

    passwords: tuple[str, ...] = field(default=(), repr=False)
    limits: FileLimits | None = None

    def job(self, key: int, path: Path, uri: str) -> ParseJob:
        """The job of parsing the document `uri`, whose bytes are in `path`."""
        return ParseJob(key, path, PurePosixPath(uri).name, self.passwords, self.limits)


def terms_of(settings: Settings, name: CollectionName) -> Terms:
    """The terms that the settings give the collection."""
    secrets = settings.document_passwords.get(str(name), ())
    passwords = tuple(secret.get_secret_value() for secret in secrets)
    if str(name) not in settings.collection_limits:
        return Terms(passwords)
    limits = settings.limits_of(str(name))
    return Terms(
        passwords,
        FileLimits(
            limits.max_file_bytes, limits.max_pages, limits.parse_wall_s, limits.parse_memory_bytes
        ),
    )
