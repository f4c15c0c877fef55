"""A source is looked at until a moment, whatever it does."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from threading import Event

import pytest

from rag.errors import RagError, UnavailableError
from rag.model import Listing, SourceObject
from rag.ports import Source
from rag.sources.timed import TimedSource
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.sources.conformance import SourceConformance
from rag_assets_tests.sources.places import FakePlace

MANY = 20_000


class TimedPlace(FakePlace):
    """A place in memory, looked at with time to spare."""

    def source(self, *, includes: tuple[str, ...] = (), excludes: tuple[str, ...] = ()) -> Source:
        return TimedSource(
            super().source(includes=includes, excludes=excludes), time.monotonic() + 60
        )


class TestTimedSource(SourceConformance):
    """Time to spare changes nothing."""

    @pytest.fixture
    def place(self) -> FakePlace:
        return TimedPlace()


class Scanned(FakeSource):
    """Names many objects, waits if it is told to, and ends as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: Iterable[int] = range(MANY)
        self.proceeds = Event()
        self.proceeds.set()
        self.error: RagError | None = None

    def list(self) -> Listing:
        def scan() -> Generator[SourceObject, None, bool]:
            for n in self.numbers:
                yield SourceObject(f"{self.uri}{n}", "etag", 1, datetime.now(UTC))
            self.proceeds.wait(30)
            if self.error:
                raise self.error
            return self.is_complete

        return Listing.scanned(scan())

    def state(self) -> str:
        self.proceeds.wait(30)
        return "as it is"


@pytest.fixture
def source() -> Iterator[Scanned]:
    made = Scanned()
    yield made
    made.proceeds.set()


def timed(source: FakeSource, seconds: float) -> TimedSource:
    return TimedSource(source, time.monotonic() + seconds)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_listing_that_ends_in_time_is_the_source_s_own(
    source: Scanned, is_complete: bool
) -> None:
    source.is_complete = is_complete
    patient = timed(source, 60)
    listing = patient.list()

    assert [obj.uri for obj in listing.objects] == [f"{source.uri}{n}" for n in range(MANY)]
    assert (listing.is_complete, patient.is_cut) == (is_complete, False)


def test_a_listing_that_hangs_gives_what_it_found_and_is_incomplete(source: Scanned) -> None:
    source.numbers = range(100)
    source.proceeds.clear()
    began = time.monotonic()
    hurried = timed(source, 2)
    listing = hurried.list()

    assert len(listing.objects) == 100
    assert (listing.is_complete, hurried.is_cut) == (False, True)
    assert time.monotonic() - began < 20


def test_a_listing_that_never_pauses_is_cut_too(source: Scanned) -> None:
    source.numbers = count()
    hurried = timed(source, 1)
    listing = hurried.list()

    assert len(listing.objects) > 0
    assert (listing.is_complete, hurried.is_cut) == (False, True)


def test_an_error_is_raised_where_the_listing_is_read(source: Scanned) -> None:
    source.error = UnavailableError("The store is gone.")

    with pytest.raises(UnavailableError, match="The store is gone"):
        tuple(timed(source, 60).list())


def test_a_state_that_takes_too_long_is_not_known(source: Scanned) -> None:
    assert timed(source, 60).state() == "as it is"
    source.proceeds.clear()
    assert timed(source, 0.2).state() is None
    assert timed(FakeSource(), 60).state() is None
