"""Cutting a stream into batches (itertools.batched needs Python 3.12)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Tuples of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
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
