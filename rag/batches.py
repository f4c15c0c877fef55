"""Cutting a stream into batches (itertools.batched needs Python 3.12), and working on one while
the database is at another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
Read = TypeVar("Read")
Made = TypeVar("Made")
Written = TypeVar("Written")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Tuples of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
        yield batch


def batched_by(items: Iterable[T], weight: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Lists of items, each ended by the item whose weight makes it reach the limit."""
    batch: list[T] = []
    held = 0
    for item in items:
        batch.append(item)
        held += weight(item)
        if held >= limit:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def batched_within(items: Iterable[T], size: int, seconds: float) -> Iterator[tuple[T, ...]]:
    """Tuples of up to `size` items: what comes fast goes together, and no item waits for longer
    than `seconds` and the next item."""
    batch: list[T] = []
    deadline = 0.0
    for item in items:
        if not batch:
            deadline = time.monotonic() + seconds
        batch.append(item)
        if len(batch) >= size or time.monotonic() >= deadline:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def overlapped(
    found: Iterable[Read], make: Callable[[Read], Made], write: Callable[[Made], Written]
) -> Iterator[Written]:
    """What `write(make(batch))` gives for each batch that is `found`, in order.

    One other thread looks for batches and writes, so both may use one connection: while a batch is
    made, the one before is written and the next one read. The caller leaves that connection alone
    until the end. A batch is read before the one before it is written."""
    batches = iter(found)
    with ThreadPoolExecutor(1, thread_name_prefix="database") as database:
        writing: Future[Written] | None = None
        reading = database.submit(next, batches, None)
        # when a batch can not be made, the one before is still written: leaving waits for it
        while (batch := reading.result()) is not None:
            reading = database.submit(next, batches, None)
            made = make(batch)
            if writing is not None:
                yield writing.result()
            writing = database.submit(write, made)
        if writing is not None:
            yield writing.result()
