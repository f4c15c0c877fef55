"""How much work each step is, in counts instead of seconds: a change that makes runs chatty fails
here on any machine. The bounds stand a little above what is needed now; raise one only knowingly.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from rag_assets_tests.databases import with_database
from rag_assets_tests.guard.work import PARAGRAPHS, SOME, Work, work_of

pytestmark = pytest.mark.slow

FEW, MANY = 20, 200
# statements are prepared when they were used five times, which is a round trip of its own
GROWTH = 8

Sizes = dict[int, dict[str, Work]]


@contextmanager
def database(server: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template}".encode())
        yield with_database(server, name)
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(scope="module")
def work(
    postgres_server: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Sizes:
    """The cost of each step, in a small and in a large collection."""

    def measured(documents: int) -> dict[str, Work]:
        folder: Path = tmp_path_factory.mktemp("guard")
        with database(postgres_server, template_database) as url:
            return work_of(url, folder, documents)

    return {documents: measured(documents) for documents in (FEW, MANY)}


def assert_not_growing(work: Sizes, step: str) -> None:
    """The step asks the database as often in a large collection as in a small one."""
    few, many = work[FEW][step], work[MANY][step]
    more = many.traffic.statements - few.traffic.statements
    assert many.statements - few.statements <= GROWTH, more.most_common(5)
    assert many.round_trips - few.round_trips <= GROWTH, more.most_common(5)


@pytest.mark.parametrize("step", ["no-op", "edit", "rename", "search", "search again"])
def test_no_step_asks_for_each_document(work: Sizes, step: str) -> None:
    assert work[MANY][step].statements > 0
    assert_not_growing(work, step)


@pytest.mark.parametrize(("one", "some"), [("edit", "some edits"), ("rename", "some renames")])
def test_no_step_asks_for_each_changed_document(work: Sizes, one: str, some: str) -> None:
    few, many = work[MANY][one], work[MANY][some]
    assert many.fetched == len(SOME)
    more = many.traffic.statements - few.traffic.statements
    assert many.statements - few.statements < len(SOME), more.most_common(5)


def test_the_guard_catches_a_run_that_asks_for_each_document(work: Sizes) -> None:
    assert work[MANY]["chatty no-op"].statements - work[MANY]["no-op"].statements == MANY
    with pytest.raises(AssertionError, match="select id from document"):
        assert_not_growing(work, "chatty no-op")


@pytest.mark.parametrize(
    ("step", "statements", "round_trips"),
    [
        ("no-op", 100, 110),
        ("edit", 165, 175),
        ("rename", 120, 125),
        ("search", 10, 5),
        ("search again", 7, 2),
    ],
)
def test_small_steps_stay_small(work: Sizes, step: str, statements: int, round_trips: int) -> None:
    for found in (work[FEW][step], work[MANY][step]):
        assert found.statements <= statements, found.traffic.statements.most_common(5)
        assert found.round_trips <= round_trips, found.traffic.statements.most_common(5)


def test_a_run_with_nothing_to_do_reads_and_makes_nothing(work: Sizes) -> None:
    for found in (work[FEW]["no-op"], work[MANY]["no-op"]):
        assert (found.fetched, found.parsed, found.embedded) == (0, 0, 0)
    # the listing goes to the server to be compared there, and nothing else does
    assert work[MANY]["no-op"].copied_bytes <= 100 * MANY


def test_an_edit_costs_one_file_and_the_changed_chunk(work: Sizes) -> None:
    for found in (work[FEW]["edit"], work[MANY]["edit"]):
        assert (found.fetched, found.parsed, found.embedded) == (1, 1, 1)


def test_a_rename_reads_one_file_and_makes_nothing(work: Sizes) -> None:
    for found in (work[FEW]["rename"], work[MANY]["rename"]):
        assert (found.fetched, found.parsed, found.embedded) == (1, 0, 0)


def test_a_search_embeds_its_question_and_copies_nothing(work: Sizes) -> None:
    found = work[MANY]["search"]
    assert (found.embedded, found.parsed, found.copied_bytes) == (1, 0, 0)


def test_a_first_load_reads_and_makes_everything_once(work: Sizes) -> None:
    for documents, steps in work.items():
        found = steps["cold"]
        assert (found.fetched, found.parsed) == (documents, documents)
        assert found.embedded == documents * PARAGRAPHS


def test_a_first_load_waits_for_the_server_by_batch_and_not_by_document(work: Sizes) -> None:
    few, many = work[FEW]["cold"], work[MANY]["cold"]
    assert few.round_trips > 0
    assert (many.round_trips - few.round_trips) / (MANY - FEW) <= 0.4
    assert (many.statements - few.statements) / (MANY - FEW) <= 2


def test_a_first_load_copies_each_text_and_vector_about_once(work: Sizes) -> None:
    chunks = (MANY - FEW) * PARAGRAPHS
    per_chunk = (work[MANY]["cold"].copied_bytes - work[FEW]["cold"].copied_bytes) / chunks
    vector_bytes, text_bytes = 2 * 384, len("gauge 1234 turns ") * 6 + 30
    assert vector_bytes < per_chunk <= 2 * (vector_bytes + text_bytes)
