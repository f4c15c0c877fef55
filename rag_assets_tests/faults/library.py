"""A folder of numbered documents that are rewritten all the time, and a reader who checks them.

Every paragraph says which document, version and part it is, and how many parts there are, so that
any mixture and any gap shows in what search returns."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from rag.errors import UnavailableError
from rag.model import Hit
from rag.search import search
from rag.sources.folder import uri_of
from rag.store import collections
from rag.store.database import connect
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.faults.worker import NAME

DOCUMENTS = 8
_MARK = re.compile(r"document (\d+) version (\d+) part (\d+) of (\d+)")
_FILLER = "with enough words around it that a part fills most of a chunk of its own here"


def text_of(document: int, version: int) -> str:
    """The whole text of one version; versions differ in length."""
    parts = 2 + version % 4
    return "\n\n".join(
        f"document {document} version {version} part {part} of {parts} {_FILLER}"
        for part in range(parts)
    )


@dataclass
class Library:
    """The folder; `versions` is what was written last."""

    folder: Path
    versions: dict[int, int] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, database_url: str, documents: int = DOCUMENTS) -> Library:
        """A folder of first versions, and the collection acme/docs over it."""
        folder.mkdir()
        library = cls(folder)
        for document in range(documents):
            library.write(document)
        with connect(database_url) as conn:
            collection = collections.create_collection(conn, NAME)
            collections.add_source(conn, collection, f"{uri_of(folder)}/")
        return library

    def write(self, document: int) -> None:
        """The next version, whole at once."""
        version = self.versions.get(document, 0) + 1
        self.put(f"{document}.txt", text_of(document, version))
        self.versions[document] = version

    def put(self, name: str, text: str) -> None:
        partial = self.folder / f".{name}"
        partial.write_text(text, encoding="utf-8")
        partial.rename(self.folder / name)

    @contextmanager
    def being_rewritten(self, rng: random.Random, pause_s: float = 0.02) -> Iterator[None]:
        """A writer at work for the time of the block."""
        with going_on(lambda: self._write_one(rng, pause_s)):
            yield

    def _write_one(self, rng: random.Random, pause_s: float) -> None:
        self.write(rng.randrange(len(self.versions)))
        time.sleep(pause_s)


@dataclass
class Reader:
    """Searches, and notes what must never be seen. `reads` counts answers with documents in them,
    `refused` those that said, in our words, that the database is away."""

    database_url: str
    documents: int = DOCUMENTS
    reads: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Searches go on for the time of the block."""
        with going_on(self._session):
            yield self

    def _session(self) -> None:
        try:
            with connect(self.database_url) as conn:
                for _ in range(50):
                    self.check(search(conn, self.embedder, NAME, "document", k=100).hits)
        except UnavailableError:
            self.refused += 1
            time.sleep(0.05)
        except TypeError as error:
            self.violations.append(f"a row in search has no publication ({error})")

    def check(self, hits: tuple[Hit, ...]) -> None:
        """All documents there, each of one version, whole, and none older than seen before."""
        seen: dict[int, set[tuple[int, int, int]]] = {}
        for hit in hits:
            for document, version, part, parts in _MARK.findall(hit.text):
                seen.setdefault(int(document), set()).add((int(version), int(part), int(parts)))
        if not seen and not self.newest:
            return  # before the first publication
        self.reads += 1
        for document, marks in seen.items():
            versions = {version for version, _, _ in marks}
            parts = {count for _, _, count in marks}
            if len(versions) > 1 or {part for _, part, _ in marks} != set(range(max(parts))):
                self.violations.append(f"document {document} is a mixture: {sorted(marks)}")
            if max(versions) < self.newest.get(document, 0):
                self.violations.append(f"document {document} went back to {max(versions)}")
            self.newest[document] = max(versions)
        missing = self.newest.keys() - seen.keys()
        if missing:
            self.violations.append(f"documents {sorted(missing)} left search")


@contextmanager
def going_on(step: object) -> Iterator[None]:
    """A thread that repeats a step for the time of the block; its error ends the block badly."""
    done = Event()
    errors: list[BaseException] = []

    def repeat() -> None:
        try:
            while not done.is_set():
                step()  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(60)
    if errors:
        raise errors[0]
