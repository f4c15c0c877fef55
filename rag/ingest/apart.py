"""One item that fails must not hold up those it is worked on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rag.errors import PoisonError

Item = TypeVar("Item")
Made = TypeVar("Made")
Apart = tuple[list[tuple[Item, Made]], list[tuple[Item, PoisonError]]]


def apart(
    make: Callable[[Sequence[Item]], Sequence[Made]], items: Sequence[Item]
) -> Apart[Item, Made]:
    """What `make` gives for each item, and the error of each that is poison. Where all of several
    are, it is not the items' fault: the error is raised."""
    made, failed = _halved(make, items)
    if len(failed) > 1 and not made:
        raise failed[0][1]
    return made, failed


def _halved(
    make: Callable[[Sequence[Item]], Sequence[Made]], items: Sequence[Item]
) -> Apart[Item, Made]:
    """A batch with poison is halved, and halved again, until it is known whose."""
    try:
        return list(zip(items, make(items), strict=True)), []
    except PoisonError as error:
        if len(items) == 1:
            return [], [(items[0], error)]
    half = len(items) // 2
    made, failed = _halved(make, items[:half])
    more_made, more_failed = _halved(make, items[half:])
    return made + more_made, failed + more_failed
