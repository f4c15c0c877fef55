"""After any history of mails and runs each mail has its attachments, and only those."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from psycopg.errors import UniqueViolation

from rag.store import content, index, manifest, queries
from rag_assets_tests.fakes import MAIL, mail
from rag_assets_tests.ingest.harness import ACME, Harness
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = pytest.mark.slow


class Mailbox:
    """Random changes of a source of mails and texts, runs that end and runs that do not."""

    def __init__(self, harness: Harness, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
        self.harness, self.patch, self.random = harness, monkeypatch, random.Random(seed)
        harness.settings = {"deletion_floor": 1000}

    def text(self) -> str:
        return f"What was seen on day {self.random.randrange(4)}."

    def content(self, depth: int = 0) -> str:
        if depth == 3 or self.random.random() < 0.4:
            return self.text()
        count = self.random.randrange(3)
        files = [(f"{self.random.choice('xy')}.txt", self.content(depth + 1)) for _ in range(count)]
        return mail(self.text(), *files)

    def step(self) -> None:
        self.random.choice(
            [self.put, self.put, self.delete, self.rename, self.run, self.run, self.die, self.half]
        )()

    def put(self) -> None:
        self.harness.source.put(self.random.choice("abc"), self.content().encode())

    def delete(self) -> None:
        self.harness.source.objects.pop(self.random.choice("abc"), None)

    def rename(self) -> None:
        old, new = self.random.sample("abc", 2)
        if old in self.harness.source.objects:
            self.harness.source.rename(old, new)

    def run(self) -> None:
        self.harness.run()
        assert self.served() == self.wanted()

    def half(self) -> None:
        self.harness.source.is_complete = False
        self.harness.run()
        self.harness.source.is_complete = True
        assert_world_is_sound(self.harness.conn)

    def die(self) -> None:
        """The worker is killed at one of the writes between a mail and its attachments' rows."""
        group, name = self.random.choice(
            [(manifest, "attach"), (manifest, "insert_versions"), (manifest, "lock_shard"),
             (content, "insert_parsed"), (content, "insert_chunks"), (index, "publish")]
        )  # fmt: skip
        left = self.random.randrange(3)
        original = getattr(group, name)

        def mortal(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return original(*arguments, **named)

        with self.patch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(group, name, mortal)
            self.harness.run()
        self.harness.conn.execute("update lease set beat_at = now() - interval '1 hour'")
        assert_world_is_sound(self.harness.conn)

    def served(self) -> dict[str, str]:
        uri = self.harness.source.uri
        assert_world_is_sound(self.harness.conn)
        found = served(self.harness.conn, str(ACME))
        return {name.removeprefix(uri): text for name, text in found.items()}

    def wanted(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, (data, _, _) in self.harness.source.objects.items():
            found |= tree(name, data.decode())
        return found


def tree(name: str, text: str) -> dict[str, str]:
    """A document and all that is attached to it, by name."""
    if not text.startswith(MAIL):
        return {name: text}
    body, files = json.loads(text.removeprefix(MAIL))
    found = {name: body}
    for number, (file, data) in enumerate(files, 1):
        found |= tree(f"{name}#attachment={number}/{file}", data)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_each_mail_has_its_attachments(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    box = Mailbox(harness, monkeypatch, seed)
    for _ in range(25):
        box.step()
    box.run()
    counts = harness.run()
    assert counts["parsed_documents"]["parsed"] == counts["embeddings"]["embedded"] == 0


@pytest.mark.parametrize(
    ("group", "name", "old", "new"),
    [
        ("manifest", "dropped_attachments", "deleted_at is null", "false"),
        ("manifest", "rename_attachments", "mail.id = item.id", "false"),
        ("manifest", "insert_differences", "and document.parent_id is null", ""),
        ("content", "packed", "metadata ? 'attachments'", "word_count < 0"),
    ],
)
def test_it_would_not_without_its_rule(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, group: str, name: str, old: str, new: str
) -> None:
    known = queries.statements(group)
    assert old in known[name]
    monkeypatch.setitem(known, name, known[name].replace(old, new))  # type: ignore[arg-type]
    with pytest.raises((AssertionError, UniqueViolation)):
        for seed in range(8):
            box = Mailbox(harness, monkeypatch, seed)
            for _ in range(25):
                box.step()
            box.run()
