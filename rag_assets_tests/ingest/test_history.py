"""After any history the index equals the source; without any one of its rules it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from psycopg.errors import UniqueViolation

from rag.ingest import reconcile
from rag.model import Listing
from rag.store import content, index, queries
from rag.store.database import connect
from rag_assets_tests.faults.history import World
from rag_assets_tests.faults.mutants import publish_in_steps
from rag_assets_tests.faults.profile import NIGHTLY

pytestmark = pytest.mark.slow

EXAMPLES, STEPS = (2_000, 100) if NIGHTLY else (50, 15)
# what the machine may need to find a missing rule without being shown the way
EXAMPLES_TO_FIND = 400

MONDAY, TUESDAY, FRIDAY = "as it was on monday", "as it was on tuesday", "as it was on friday"
Patch = pytest.MonkeyPatch


def explore(database_url: str, *, examples: int, steps: int, derandomize: bool = False) -> None:
    """Run the machine on a database of its own."""
    with connect(database_url) as conn:
        machine = type("World", (World,), {"conn": conn, "database_url": database_url})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
                database=None,
                print_blob=True,
                report_multiple_bugs=False,
                derandomize=derandomize,
            ),
        )


def test_the_index_equals_the_source_after_any_history(database_url: str) -> None:
    # the same histories each time, but for the nightly profile: a new one is news, not an accident
    explore(database_url, examples=EXAMPLES, steps=STEPS, derandomize=not NIGHTLY)


# histories that end right, each because of one rule


def overtaken_by_an_overwrite(world: World) -> None:
    """A worker fetches, the object is overwritten and served anew, the worker goes on."""
    world.put("a.txt", MONDAY)
    world.run()
    world.put("a.txt", TUESDAY)
    world.begin_run("after fetch")
    world.put("a.txt", FRIDAY)
    world.run()
    world.finish_run()


def overtaken_by_a_creation(world: World) -> None:
    """A worker lists, then a document appears and is served; the worker's listing lacks it."""
    world.put("a.txt", MONDAY)
    world.run()
    world.begin_run("after list")
    world.put("b.txt", TUESDAY)
    world.run()
    world.finish_run()


def overtaken_by_a_return(world: World) -> None:
    """A worker's listing lacks a document that returns while the worker fetches something else."""
    world.put("a.txt", MONDAY)
    world.run()
    world.delete("a.txt")
    world.put("b.txt", TUESDAY)
    world.begin_run("after fetch")
    world.put("a.txt", FRIDAY)
    world.run()
    world.finish_run()


def died_while_replacing(world: World) -> None:
    """The worker dies when the old rows are gone and the new ones are not there."""
    world.put("a.txt", MONDAY)
    world.run()
    world.put("a.txt", TUESDAY)
    world.run_and_die("inside publish, rows gone")


def died_before_the_vectors(world: World) -> None:
    """The worker dies between the chunks and their vectors."""
    world.put("a.txt", MONDAY)
    world.run_and_die("before vectors")
    world.run()


def saw_half(world: World) -> None:
    """A listing ends early."""
    world.put("a.txt", MONDAY)
    world.put("b.txt", TUESDAY)
    world.run_on_part_of_a_listing({"b.txt"})


def lost_everything(world: World) -> None:
    """The source is suddenly empty."""
    for name in "abcde":
        world.put(f"{name}.txt", MONDAY)
    world.run()
    world.wipe()


def deleted_one(world: World) -> None:
    """A document goes."""
    world.put("a.txt", MONDAY)
    world.run()
    world.delete("a.txt")
    world.run()


def erased_in_a_worker_s_hands(world: World, point: str = "after fetch") -> None:
    """A document is forgotten while a worker is about to bring it in."""
    world.put("a.txt", MONDAY)
    world.run()
    world.put("a.txt", TUESDAY)
    world.begin_run(point)
    world.erase("a.txt")
    world.finish_run()


def erased_before_its_parse(world: World) -> None:
    erased_in_a_worker_s_hands(world, "after claim")


def erased_before_its_vectors(world: World) -> None:
    erased_in_a_worker_s_hands(world, "before vectors")


def renamed_onto_a_failure(world: World) -> None:
    """An object that could not be fetched is replaced by another one under its name."""
    world.put("a.txt", MONDAY)
    world.run()
    world.put("b.txt", TUESDAY)
    world.fetch_fails("b.txt")
    world.run()
    world.fetch_fails("b.txt", is_failing=False)
    world.rename("a.txt", "b.txt")
    world.let_time_pass()
    world.run()


def renamed_while_failing(world: World) -> None:
    """A document whose new version is broken changes its name: the old text never had that name."""
    world.put("a.txt", MONDAY)
    world.run()
    world.put("a.txt", "BROKEN file")
    world.run()
    world.rename("a.txt", "b.txt")
    world.run()


def left_one_configuration_for_another(world: World) -> None:
    """A new configuration is given up for a newer one before it came to serve."""
    world.put("a.txt", MONDAY)
    world.run()
    world.change_configuration("embedder")
    world.run_and_die("after publish")
    world.change_configuration("embedder")
    world.run()


def ended_late_under_an_older_configuration(world: World) -> None:
    """A worker goes on with the parser it was started with, when another one's work is served."""
    world.put("a.txt", MONDAY)
    world.run()
    world.begin_run("before embedding")
    world.put("b.txt", TUESDAY)
    world.change_configuration("parser")
    world.run()
    world.finish_run()


def renamed_before_another_parser(world: World) -> None:
    """A document is renamed, then parsed anew when its bytes are only in the source."""
    world.put("a.txt", MONDAY)
    world.run()
    world.rename("a.txt", "b.txt")
    world.run()
    world.lose_spool()
    world.change_configuration("parser")
    world.run()


def told_during_a_look(world: World) -> None:
    """A notification comes when a worker has listed and not yet settled what it saw."""
    world.put("a.txt", MONDAY)
    world.run()
    world.begin_run("after list")
    world.put("b.txt", TUESDAY)
    world.hear([0, 1])
    world.finish_run()
    world.run_if_told()


def told_twice_and_late(world: World) -> None:
    """Notifications of a deletion and of what came before arrive after the return, twice."""
    world.put("a.txt", MONDAY)
    world.delete("a.txt")
    world.put("a.txt", TUESDAY)
    world.hear([1, 0, 1], are_settled=False)
    world.run_and_die("after list")
    world.run_if_told()
    world.hear([2, 0])
    world.run_if_told()


HISTORIES: list[Callable[[World], None]] = [
    overtaken_by_an_overwrite, overtaken_by_a_creation, overtaken_by_a_return,
    died_while_replacing, died_before_the_vectors, saw_half, lost_everything, deleted_one,
    erased_in_a_worker_s_hands, erased_before_its_parse, erased_before_its_vectors,
    renamed_onto_a_failure, renamed_while_failing, left_one_configuration_for_another,
    ended_late_under_an_older_configuration, renamed_before_another_parser, told_during_a_look,
    told_twice_and_late,
]  # fmt: skip


# the rules taken away, one at a time


def rewrite(patch: Patch, group: str, name: str, old: str, new: str = "") -> None:
    """Change one statement."""
    known = queries.statements(group)
    assert old in known[name], (group, name)
    patch.setitem(known, name, known[name].replace(old, new))


def no_compare_and_set(patch: Patch) -> None:
    """What a worker saw counts, however much later others looked."""
    looks = "and document.looked_at <= %(listed_at)s"
    rewrite(patch, "manifest", "insert_differences", looks)
    later = "greatest(document.looked_at, document.deleted_at) <= %(listed_at)s and"
    rewrite(patch, "manifest", "insert_differences", later)
    rewrite(patch, "manifest", "overtaken", "> %(listed_at)s", "> %(listed_at)s and false")
    rewrite(patch, "manifest", "delete_documents", "and looked_at <= %(listed_at)s")
    rewrite(patch, "manifest", "still_vanished", "and looked_at <= %(listed_at)s")


def no_transaction(patch: Patch) -> None:
    """Old rows go, new rows come, each on its own."""
    patch.setattr(index, "publish", publish_in_steps)


def no_completeness(patch: Patch) -> None:
    """Every listing counts as complete."""
    patch.setattr(Listing, "is_complete", True)


def no_breaker(patch: Patch) -> None:
    """Any number of documents may vanish at once."""
    patch.setattr(reconcile, "deletion_threshold", lambda documents, settings: 10**9)


def rows_outlive_deletion(patch: Patch) -> None:
    """Tombstones, but the rows stay in search."""
    rewrite(patch, "manifest", "delete_documents", "delete from publication where",
            "delete from publication where false and")  # fmt: skip


def marked_before_embedded(patch: Patch) -> None:
    """A chunk set counts as embedded before its vectors are there."""
    rewrite(patch, "content", "mark_embedded", "and chunk_set.chunk_count =", "or 0 =")
    insert = content.insert_embeddings

    def mark_first(conn, build, sets, hashes, vectors):  # type: ignore[no-untyped-def]
        rows = content.select(conn, "sets_to_embed", build, fingerprint="")
        content.mark_embedded(conn, build, [row["chunk_set_id"] for row in rows])
        return insert(conn, build, sets, hashes, vectors)

    patch.setattr(content, "insert_embeddings", mark_first)


def erased_names_forgotten(patch: Patch) -> None:
    """Only a new listing leaves erased names out."""
    rewrite(patch, "manifest", "overtaken", "erasure.collection_id =", "false and 0 =")


def erased_text_kept(patch: Patch) -> None:
    """A parse is kept whether or not the document is still there."""
    rewrite(patch, "content", "insert_parsed", "where exists (", "where true or exists (")


def erased_vectors_kept(patch: Patch) -> None:
    """Vectors are kept whether or not their chunks are still there."""
    rewrite(patch, "content", "lacking_embeddings", queries.statements("content")[
        "lacking_embeddings"], "select unnest(%(hashes)s::bytea[]) as embedded_hash")  # fmt: skip


def placeholders_stay(patch: Patch) -> None:
    """A rename replaces tombstones only."""
    rewrite(patch, "manifest", "drop_placeholders", " or document.version_id is null")


def any_content_is_a_rename(patch: Patch) -> None:
    """A document is recognised by its newest content, whatever it serves."""
    rewrite(patch, "manifest", "content_of_documents",
            "publication.version_id <> document.version_id", "false")  # fmt: skip


def abandoned_generations_stay(patch: Patch) -> None:
    """Only the generation that served is retired."""
    rewrite(patch, "index", "retire_live", "state = 'building'", "false")


def late_generations_stay(patch: Patch) -> None:
    """Only what another generation overtakes is retired."""
    rewrite(patch, "retention", "retire_abandoned", "generation.state = 'building'", "false")


def fetched_as_first_seen(patch: Patch) -> None:
    """Content is fetched again from the object that its version was first seen in."""
    rewrite(patch, "content", "unparsed", "document.etag", "document_version.etag")


def hints_cleared_by_an_older_look(patch: Patch) -> None:
    """A look that is over takes all hints with it."""
    rewrite(patch, "hints", "clear", " and received_at <= %(listed_at)s")


MUTANTS: list[tuple[Callable[[Patch], None], Callable[[World], None]]] = [
    (no_compare_and_set, overtaken_by_an_overwrite),
    (no_compare_and_set, overtaken_by_a_creation),
    (no_compare_and_set, overtaken_by_a_return),
    (no_transaction, died_while_replacing),
    (no_completeness, saw_half),
    (no_breaker, lost_everything),
    (rows_outlive_deletion, deleted_one),
    (marked_before_embedded, died_before_the_vectors),
    (erased_names_forgotten, erased_in_a_worker_s_hands),
    (erased_text_kept, erased_before_its_parse),
    (erased_vectors_kept, erased_before_its_vectors),
    (placeholders_stay, renamed_onto_a_failure),
    (any_content_is_a_rename, renamed_while_failing),
    (abandoned_generations_stay, left_one_configuration_for_another),
    (late_generations_stay, ended_late_under_an_older_configuration),
    (fetched_as_first_seen, renamed_before_another_parser),
    (hints_cleared_by_an_older_look, told_during_a_look),
]
# those that the machine finds by itself in seconds
FOUND_ALONE = [no_compare_and_set, no_transaction, no_completeness, no_breaker]


def name_of(part: object) -> str:
    return getattr(part, "__name__", "")


class Checked:
    """A world that is looked at after every step."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, step: str) -> Callable[..., None]:
        def take(*arguments: object, **options: object) -> None:
            getattr(self._world, step)(*arguments, **options)
            self._world.is_sound()

        return take


def live_through(database_url: str, history: Callable[[World], None]) -> None:
    """A history from an empty world to its settlement, the world sound after every step."""
    with connect(database_url) as conn:
        world = type("World", (World,), {"conn": conn, "database_url": database_url})()
        world.start()
        world.is_going_well = False
        try:
            history(Checked(world))  # type: ignore[arg-type]
            world.is_going_well = True
        finally:
            world.teardown()


@pytest.mark.parametrize("history", HISTORIES, ids=name_of)
def test_a_history_ends_right(database_url: str, history: Callable[[World], None]) -> None:
    live_through(database_url, history)


@pytest.mark.parametrize(("mutant", "history"), MUTANTS, ids=name_of)
def test_it_would_not_without_its_rule(
    database_url: str,
    monkeypatch: Patch,
    mutant: Callable[[Patch], None],
    history: Callable[[World], None],
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, UniqueViolation)) as caught:
        live_through(database_url, history)
    print(repr(caught.value)[:200])


@pytest.mark.parametrize("mutant", FOUND_ALONE, ids=name_of)
def test_the_machine_finds_what_is_missing(
    database_url: str, monkeypatch: Patch, mutant: Callable[[Patch], None]
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        explore(database_url, examples=EXAMPLES_TO_FIND, steps=STEPS, derandomize=True)
