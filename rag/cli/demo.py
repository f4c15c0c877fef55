"""rag demo: the whole platform on the project's own documents, from bucket to cited passage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, escape, note, plural, write_json

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.cli.demo_report import Outcome
    from rag.settings import Settings
    from rag.stack.endpoints import Endpoints
    from rag.store.collections import Collection

Check = Callable[[], None]


def demo(
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the index.")
    ] = 900.0,
    as_json: AsJson = False,
) -> None:
    """Show the whole platform: start it, put the sample documents into the bucket, let Dagster's
    sensor find and index them, ask three questions, stop everything."""
    from rag.cli import demo_report
    from rag.settings import load_settings

    settings = load_settings()
    with running_platform(settings) as (endpoints, check):
        outcome = _show_platform(settings, endpoints, check, timeout, is_silent=as_json)
    if as_json:
        write_json(demo_report.as_object(outcome))
    else:
        demo_report.show_end(outcome)


@contextmanager
def running_platform(settings: Settings) -> Iterator[tuple[Endpoints, Check]]:
    """The stack that runs under the home, else one of our own for the time of the block, on a free
    port; its schema is up to date before Dagster looks at it."""
    from rag.stack.endpoints import running_endpoints
    from rag.stack.supervisor import connect_or_start, running_stack
    from rag.store.migration import migrate

    running = running_endpoints(settings.home.resolve())
    if running is not None:
        note(f"A stack runs already ({running.dagster_url}): the demo uses it and leaves it up.")
        yield running, lambda: None
        return
    own = settings.model_copy(update={"dagster_port": 0})
    _step("bringing the database to its schema")
    with connect_or_start(own) as before:
        migrate(before.database_url)
        with running_stack(own, _step) as stack:
            yield stack.endpoints, stack.check


def _step(text: str) -> None:
    note(f"[dim]{time.strftime('%H:%M:%S')}[/dim]  {escape(text)}")


def _show_platform(
    settings: Settings, endpoints: Endpoints, check: Check, timeout_s: float, *, is_silent: bool
) -> Outcome:
    from rag.cli import demo_report, samples
    from rag.cli.backend import Backend
    from rag.cli.waiting import wait_until_current
    from rag.store import standing
    from rag.store.database import connect

    started = time.monotonic()
    folder = samples.samples_folder()
    with connect(endpoints.database_url) as conn:
        backend = Backend(settings, endpoints, conn)
        found = _prepare(backend)
        mark = standing.last_stage_record(conn, found.id)
        current = wait_until_current(backend, found, mark, check, timeout_s, is_silent=is_silent)
        outcome = demo_report.gather(backend, found, mark, current)
        outcome = replace(outcome, seconds=time.monotonic() - started)
        if not is_silent:
            demo_report.show_documents(outcome)
        questions = samples.demo_questions(folder)
        outcome = replace(outcome, answers=demo_report.ask(backend, found.name, questions))
        if not is_silent:
            demo_report.show_answers(outcome)
    return outcome


def _prepare(backend: Backend) -> Collection:
    """The documents are in the bucket, and a collection is bound to it."""
    from rag.cli import samples
    from rag.cli.binding import find_or_create
    from rag.cli.object_store import client
    from rag.model import CollectionName
    from rag.store import collections

    upload = samples.upload_samples(client(backend), samples.samples_folder())
    if upload.sent:
        _step(f"put {plural(upload.sent, 'document')} ({upload.sent_bytes / 1024:.0f} KiB) into "
              f"{samples.URI}")  # fmt: skip
    else:
        _step(f"the {plural(upload.total, 'document')} in {samples.URI} are as they were")
    found = find_or_create(backend, CollectionName.parse(samples.COLLECTION))
    collections.add_source(backend.conn, found, samples.URI)
    _step(f"collection {found.name} is bound to {samples.URI}; the sensor looks every "
          f"{backend.settings.sensor_interval_s} s")  # fmt: skip
    return found
