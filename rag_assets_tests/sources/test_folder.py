"""A folder source beside links, pipes, missing rights and writers."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import ConfigurationError, TransientError, UnavailableError
from rag.sources.folder import FolderSource, path_of, uri_of
from rag_assets_tests.sources.conformance import names_of, only
from rag_assets_tests.sources.places import FolderPlace


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    return FolderPlace(tmp_path)


def test_a_missing_folder_is_unavailable_and_never_empty(place: FolderPlace) -> None:
    source = place.source()
    place.root.rmdir()
    with pytest.raises(UnavailableError, match="docs") as caught:
        source.list()
    assert caught.value.code == "folder_not_found"


def test_an_unreadable_folder_is_unavailable(
    place: FolderPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnavailableError) as caught:
        place.source().list()
    assert caught.value.code == "folder_unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_makes_the_listing_incomplete(place: FolderPlace) -> None:
    place.put("a.txt", b"text")
    place.put("closed/b.txt", b"text")
    (place.root / "closed").chmod(0)
    listing = place.source().list()
    (place.root / "closed").chmod(0o700)
    assert not listing.is_complete
    assert len(listing.objects) == 1


def test_a_folder_that_moves_while_it_is_listed_makes_the_listing_incomplete(
    place: FolderPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved from what is not read yet to what was read, its files would seem deleted."""
    place.put("a/a.txt", b"text")
    place.put("b/b.txt", b"text")
    scandir = os.scandir

    def move_first(path: Path) -> object:
        if Path(path).name == "b":
            (place.root / "b").rename(place.root / "a" / "b")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", move_first)
    assert not place.source().list().is_complete


def test_hidden_names_are_left_out(place: FolderPlace) -> None:
    for name in ("a.txt", ".hidden.txt", ".git/config", "sub/.b.txt"):
        place.put(name, b"text")
    assert names_of(place.source()) == {"a.txt"}


def test_links_are_followed_to_files_of_the_folder_only(place: FolderPlace, tmp_path: Path) -> None:
    place.put("a.txt", b"text")
    place.put("sub/b.txt", b"text")
    place.put_beside(b"secret")
    (place.root / "inside.txt").symlink_to("a.txt")
    (place.root / "outside.txt").symlink_to(tmp_path / "docs2" / "b.txt")
    (place.root / "outside").symlink_to(tmp_path / "docs2")
    (place.root / "sub" / "loop").symlink_to("..")
    (place.root / "broken.txt").symlink_to("nothing")
    (place.root / "self.txt").symlink_to("self.txt")
    assert names_of(place.source()) == {"a.txt", "sub/b.txt", "inside.txt"}


def test_a_linked_file_is_fetched(place: FolderPlace, tmp_path: Path) -> None:
    place.put(".kept/a.txt", b"text")
    (place.root / "a.txt").symlink_to(".kept/a.txt")
    source = place.source()
    source.fetch(only(source), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"text"


@pytest.mark.parametrize("at", ["a.txt", "sub"])
def test_a_link_out_put_in_place_of_a_listed_file_is_not_followed(
    place: FolderPlace, tmp_path: Path, at: str
) -> None:
    name = "sub/b.txt" if at == "sub" else at
    place.put(name, b"text")
    place.put_beside(b"secret")
    source = place.source()
    obj = only(source)
    shutil.move(place.root / at, tmp_path / "away")
    (place.root / at).symlink_to(tmp_path / "docs2" / ("" if at == "sub" else "b.txt"))
    with pytest.raises(TransientError) as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == "object_changed"


def test_an_address_outside_of_the_folder_is_not_fetched(
    place: FolderPlace, tmp_path: Path
) -> None:
    place.put("a.txt", b"text")
    place.put_beside(b"secret")
    obj = only(FolderSource(f"file://{tmp_path}/docs2/"))
    for path in ("docs2/b.txt", "docs/../docs2/b.txt"):
        elsewhere = replace(obj, uri=f"file://{tmp_path}/{path}")
        with pytest.raises(TransientError):
            place.source().fetch(elsewhere, tmp_path / "got")
        assert not (tmp_path / "got").exists()


def test_pipes_are_no_documents_and_block_nothing(place: FolderPlace, tmp_path: Path) -> None:
    place.put("a.txt", b"text")
    os.mkfifo(place.root / "pipe")
    source = place.source()
    assert names_of(source) == {"a.txt"}
    obj = only(source)
    place.delete("a.txt")
    os.mkfifo(place.root / "a.txt")
    with pytest.raises(TransientError) as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == "object_changed"


def test_a_file_that_grows_while_it_is_copied_is_not_taken(
    place: FolderPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.txt", b"text" * 200_000)
    source = place.source()
    obj = only(source)
    from rag.sources import folder

    def grow(blocks: object, target: Path) -> object:
        written = write_blocks(blocks, target)
        with (place.root / "a.txt").open("ab") as file:
            file.write(b"more")
        return written

    write_blocks = folder.write_blocks
    monkeypatch.setattr(folder, "write_blocks", grow)
    with pytest.raises(TransientError) as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == "object_changed"
    assert not (tmp_path / "got").exists()


def test_a_file_closed_to_us_is_transient(
    place: FolderPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.txt", b"text")
    source = place.source()
    obj = only(source)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(TransientError, match="right to read") as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == "object_unreadable"


def test_a_fetch_waits_until_a_later_write_would_have_another_time(
    place: FolderPlace, tmp_path: Path
) -> None:
    """The clock that stamps files ticks every few milliseconds."""
    place.put("a.txt", b"text")
    path = place.root / "a.txt"
    now_ns = time.time_ns()
    os.utime(path, ns=(now_ns, now_ns))
    source = place.source()
    source.fetch(only(source), tmp_path / "got")
    assert time.time_ns() - now_ns >= 20_000_000


def test_a_file_dated_in_the_future_is_fetched_at_once(place: FolderPlace, tmp_path: Path) -> None:
    place.put("a.txt", b"text")
    later = time.time() + 86_400
    os.utime(place.root / "a.txt", (later, later))
    source = place.source()
    source.fetch(only(source), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"text"


def test_a_single_file_is_a_source(place: FolderPlace, tmp_path: Path) -> None:
    place.put("a b.pdf", b"text")
    source = FolderSource(uri_of(place.root / "a b.pdf"))
    obj = only(source)
    assert obj.uri == source.uri
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"text"


def test_names_that_are_no_text_survive(place: FolderPlace, tmp_path: Path) -> None:
    name = os.fsdecode(b"latin-\xe9%.txt")
    try:
        place.put(name, b"text")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    source = place.source()
    obj = only(source)
    obj.uri.encode("utf-8")  # as the database wants it
    assert path_of(obj.uri) == place.root / name
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"text"


def test_a_listing_stops_at_the_most_objects_and_is_incomplete(place: FolderPlace) -> None:
    for number in range(4):
        place.put(f"{number}.txt", b"text")
    few = FolderSource(uri_of(place.root) + "/", max_objects=3).list()
    assert (len(few.objects), few.is_complete) == (3, False)
    enough = FolderSource(uri_of(place.root) + "/", max_objects=4).list()
    assert (len(enough.objects), enough.is_complete) == (4, True)


@pytest.mark.slow
def test_thousands_of_files_are_listed(place: FolderPlace) -> None:
    for number in range(2_500):
        place.put(f"{number % 50}/{number:05}.txt", b"x")
    assert len(names_of(place.source())) == 2_500


@pytest.mark.parametrize("uri", ["file://host/a", "file:///a%00b", "/a", "s3://bucket/"])
def test_a_malformed_address_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        FolderSource(uri)
    assert caught.value.code == "bad_source"
