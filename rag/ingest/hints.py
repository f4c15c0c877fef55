"""From the notification queue to hints: committed first, acknowledged after."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rag.sources.queue import Message, NotificationQueue
from rag.sources.queue_message import changed_uris
from rag.store.database import Connection
from rag.store.hints import add_hints

MOST_MESSAGES = 1_000
BUDGET_S = 20.0
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Taken:
    """What came out of the queue."""

    messages: int = 0
    hints: int = 0
    malformed: int = 0


def take_hints(
    conn: Connection,
    queue: NotificationQueue,
    *,
    wait_s: int = 0,
    most_messages: int = MOST_MESSAGES,
    budget_s: float = BUDGET_S,
) -> Taken:
    """Turn waiting messages into hints until the queue is empty or a bound is reached; `wait_s` is
    how long to wait for the first one.

    A message is deleted after the commit of its hints, so a crash in between brings it again, which
    does no harm. A malformed one is never deleted: the queue's redrive policy moves it to the
    dead-letter queue."""
    taken = Taken()
    deadline = time.monotonic() + budget_s
    while taken.messages < most_messages:
        batch = queue.receive(wait_s)
        if not batch:
            break
        _take(conn, queue, batch, taken)
        wait_s = 0
        if time.monotonic() > deadline:
            break
    return taken


def _take(
    conn: Connection, queue: NotificationQueue, batch: Sequence[Message], taken: Taken
) -> None:
    uris: list[str] = []
    understood: list[Message] = []
    for message in batch:
        found = changed_uris(message.body)
        if found is None:
            _note_malformed(message)
            taken.malformed += 1
        else:
            uris.extend(found)
            understood.append(message)
    taken.messages += len(batch)
    if uris:
        taken.hints += add_hints(conn, uris)
    queue.delete(understood)


def _note_malformed(message: Message) -> None:
    """Say it once, not each time the queue gives the message out again."""
    if message.receives == 1:
        _LOG.warning("message_malformed id=%s: it is left to the dead-letter queue", message.id)
