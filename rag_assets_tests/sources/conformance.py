"""What every source must do, whatever it reads from. Subclass and give the fixture `place`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Unpack
from urllib.parse import unquote

import pytest

from rag.errors import TransientError
from rag.model import SourceObject, SourceOptions
from rag.ports import Source

ODD_NAMES = (
    "plain.txt",
    "with space.txt",
    "a b+c&d=e;f.txt",
    "100%.txt",
    "%41 %2F%00.txt",
    "what?#anchor.txt",
    "Übersicht 日本語 🙂.pdf",
    "e\u0301 and \u00e9.txt",
    "'quotes\" <tags> [x]{y}\\.txt",
    "deep/er/and/deeper/file.txt",
    "~$lock.docx",
)


class Place(Protocol):
    """Where a test writes what the source then reads. Names are relative to the source."""

    odd_names: tuple[str, ...]
    sample: bytes  # what an object may consist of

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        """The source over this place."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write or overwrite an object."""
        ...

    def put_beside(self, data: bytes) -> None:
        """Write an object that is not below the source, although its address begins alike."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object."""
        ...

    def age(self, name: str) -> None:
        """Let the object be last modified in the year 2000."""
        ...

    def failing_halfway(self) -> AbstractContextManager[None]:
        """Listings meet an error after they read something."""
        ...


def names_of(source: Source) -> set[str]:
    """The names a complete listing gives, decoded as people see them."""
    listing = source.list()
    assert listing.is_complete
    assert len({obj.uri for obj in listing.objects}) == len(listing.objects)
    return {_name(source, obj) for obj in listing.objects}


def only(source: Source) -> SourceObject:
    """The one object of a source."""
    (obj,) = source.list().objects
    return obj


def _name(source: Source, obj: SourceObject) -> str:
    assert obj.uri.startswith(source.uri)
    name = obj.uri[len(source.uri) :]
    if source.uri.startswith(("postgresql-table:", "csv+file:")):
        return unquote(name.removeprefix("#").removesuffix(".md"))
    return unquote(name) if source.uri.startswith("file:") else name


class SourceConformance:
    """The behaviours."""

    def test_an_empty_place_gives_a_complete_empty_listing(self, place: Place) -> None:
        assert names_of(place.source()) == set()

    def test_a_listing_describes_each_object(self, place: Place) -> None:
        place.put("a.txt", b"12345")
        place.put("sub/b.txt", b"")
        source = place.source()
        found = {_name(source, obj): obj for obj in source.list().objects}
        sizes = {name: obj.size_bytes for name, obj in found.items()}
        assert sizes == {"a.txt": 5, "sub/b.txt": 0}
        assert all(obj.modified_at.tzinfo is not None for obj in found.values())
        assert all(obj.etag and '"' not in obj.etag for obj in found.values())

    def test_what_begins_alike_but_lies_beside_is_not_listed(self, place: Place) -> None:
        place.put("a.txt", b"in")
        place.put_beside(b"out")
        assert names_of(place.source()) == {"a.txt"}

    def test_two_looks_without_a_change_are_equal(self, place: Place) -> None:
        for name in ("a.txt", "b.txt", "c/d.txt"):
            place.put(name, b"same")
        assert set(place.source().list().objects) == set(place.source().list().objects)

    def test_a_fetch_gives_the_exact_bytes(self, place: Place, tmp_path: Path) -> None:
        data = place.sample * 4096 + b"tail"
        place.put("a.bin", data)
        source = place.source()
        source.fetch(only(source), tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == data

    def test_an_empty_object_is_fetched(self, place: Place, tmp_path: Path) -> None:
        place.put("empty.txt", b"")
        source = place.source()
        source.fetch(only(source), tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == b""

    def test_odd_names_survive(self, place: Place, tmp_path: Path) -> None:
        for name in place.odd_names:
            place.put(name, name.encode())
        source = place.source()
        assert names_of(source) == set(place.odd_names)
        for obj in source.list().objects:
            source.fetch(obj, tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == _name(source, obj).encode()

    def test_an_overwrite_in_the_same_second_is_another_object(self, place: Place) -> None:
        seen = set()
        for number in range(5):
            place.put("a.txt", b"text %d" % number)
            obj = only(place.source())
            seen.add((obj.etag, obj.version))
        assert len(seen) == 5

    def test_a_deleted_object_is_gone_and_comes_back_when_re_created(
        self, place: Place, tmp_path: Path
    ) -> None:
        place.put("a.txt", b"first")
        place.put("b.txt", b"other")
        place.delete("a.txt")
        assert names_of(place.source()) == {"b.txt"}
        place.put("a.txt", b"second")
        assert names_of(place.source()) == {"a.txt", "b.txt"}
        source = place.source()
        (obj,) = (obj for obj in source.list().objects if _name(source, obj) == "a.txt")
        source.fetch(obj, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == b"second"

    def test_a_fetch_of_what_was_deleted_leaves_it_to_the_next_listing(
        self, place: Place, tmp_path: Path
    ) -> None:
        place.put("a.txt", b"text")
        source = place.source()
        obj = only(source)
        place.delete("a.txt")
        assert _fetched(source, obj, tmp_path / "got") in (b"text", "object_gone")

    def test_a_fetch_never_gives_another_version_than_the_listed_one(
        self, place: Place, tmp_path: Path
    ) -> None:
        place.put("a.txt", b"old text")
        source = place.source()
        obj = only(source)
        place.put("a.txt", b"new text")
        assert _fetched(source, obj, tmp_path / "got") in (b"old text", "object_changed")
        source.fetch(only(source), tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == b"new text"

    def test_a_listing_that_fails_halfway_says_so(self, place: Place) -> None:
        for number in range(6):
            place.put(f"{number}/a.txt", b"text")
        with place.failing_halfway():
            listing = place.source().list()
            assert not listing.is_complete
        assert 0 < len(listing.objects) < 6
        assert len(names_of(place.source())) == 6

    def test_eight_threads_fetch_at_a_time(self, place: Place, tmp_path: Path) -> None:
        for number in range(32):
            place.put(f"{number}.txt", b"%d" % number * 1000)
        source = place.source()

        def fetch(obj: SourceObject) -> bool:
            target = tmp_path / _name(source, obj)
            source.fetch(obj, target)
            return target.read_bytes() == target.stem.encode() * 1000

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(fetch, source.list().objects)) == [True] * 32


class SelectiveSourceConformance(SourceConformance):
    """The behaviours of sources that take globs."""

    @pytest.mark.parametrize(
        ("includes", "excludes", "taken"),
        [
            ((), (), {"a.pdf", "B.PDF", "c.txt", "tmp/d.pdf", "x/tmp/e.pdf"}),
            (("*.pdf",), (), {"a.pdf", "B.PDF", "tmp/d.pdf", "x/tmp/e.pdf"}),
            (("*.pdf",), ("tmp/**",), {"a.pdf", "B.PDF", "x/tmp/e.pdf"}),
            (("*.pdf",), ("**/tmp/*",), {"a.pdf", "B.PDF"}),
            (("/*.pdf",), (), {"a.pdf", "B.PDF"}),
            (("?.txt", "x/**"), (), {"c.txt", "x/tmp/e.pdf"}),
            ((), ("*",), set()),
        ],
    )
    def test_globs_choose(
        self,
        place: Place,
        includes: tuple[str, ...],
        excludes: tuple[str, ...],
        taken: set[str],
    ) -> None:
        for name in ("a.pdf", "B.PDF", "c.txt", "tmp/d.pdf", "x/tmp/e.pdf"):
            place.put(name, b"text")
        assert names_of(place.source(includes=includes, excludes=excludes)) == taken


class BoundedSourceConformance:
    """The behaviours of sources whose objects have times."""

    def test_what_is_older_than_the_bound_is_not_taken(self, place: Place) -> None:
        for name in ("old.txt", "new.txt"):
            place.put(name, b"text")
        place.age("old.txt")

        assert names_of(place.source(since="2020-01-01")) == {"new.txt"}
        assert names_of(place.source(since="1999-12-31")) == {"old.txt", "new.txt"}
        assert names_of(place.source()) == {"old.txt", "new.txt"}

    def test_an_overwrite_is_taken(self, place: Place) -> None:
        place.put("a.txt", b"text")
        place.age("a.txt")
        assert names_of(place.source(since="2020-01-01")) == set()

        place.put("a.txt", b"more text")

        assert names_of(place.source(since="2020-01-01")) == {"a.txt"}

    def test_an_access_list_goes_with_its_document_however_old_or_large(self, place: Place) -> None:
        lists = {f"{name}.txt.acl.json" for name in ("a", "b")}
        for name in ("a.txt", "b.txt", *lists):
            place.put(name, b"text" if name == "a.txt" else b"long text")
        for name in lists:
            place.age(name)

        assert names_of(place.source(since="2020-01-01", max_bytes=4)) == {"a.txt", *lists}
        assert names_of(place.source(since="2020-01-01", excludes=("b.*",))) == {
            "a.txt", "a.txt.acl.json",
        }  # fmt: skip


def _fetched(source: Source, obj: SourceObject, target: Path) -> bytes | str:
    """The bytes, or the code of the transient error that left no file."""
    try:
        source.fetch(obj, target)
    except TransientError as error:
        assert not target.exists()
        return error.code
    return target.read_bytes()
