"""rag schedule: when collections are run by time, and how current they should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, escape, plural, say, table, write_json
from rag.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from rag.schedules import Kind

app = typer.Typer(
    help="Run collections by time, and say how current they should be.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")]
Evaluation = Annotated[
    bool, typer.Option("--evaluation", help="The evaluation of what is live, not the run.")
]


def _kind(is_evaluation: bool) -> Kind:
    return "evaluation" if is_evaluation else "ingest"


@app.command("set")
def set_(
    name: Name,
    days: Annotated[
        float | None, typer.Option(metavar="N", help="Every so many days; fractions count.")
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="EXPR", help="Five fields of cron, in UTC.")
    ] = None,
    evaluation: Evaluation = False,
    as_json: AsJson = False,
) -> None:
    """Run the collection every so many days or by cron; at once when it has never been run so."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.schedules import read_rhythm
    from rag.store import collections, schedules

    rhythm = read_rhythm(days, cron)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        kind = _kind(evaluation)
        schedules.set_schedule(backend.conn, found.id, rhythm, kind)
    if as_json:
        write_json({"collection": name, "kind": kind, "every_days": rhythm.every_days,
                    "cron": rhythm.cron})  # fmt: skip
    else:
        say(f"{name} is {'evaluated' if evaluation else 'run'}: {rhythm}.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the schedules and when each is due next."""
    from rag.cli.backend import open_backend
    from rag.schedules import Rhythm, due_at
    from rag.store import schedules

    with open_backend() as backend:
        rows = schedules.schedules(backend.conn)
    found = [
        {
            "collection": f"{row['namespace']}/{row['collection']}",
            "kind": row["kind"],
            "schedule": str(rhythm := Rhythm(row["every_days"], row["cron"])),
            "last_run_at": row["last_run_at"],
            "due_at": due_at(rhythm, row["last_run_at"], row["created_at"]),
        }
        for row in rows
    ]
    if as_json:
        write_json(found)
    elif not found:
        say("No schedule: `rag schedule set NS/NAME --days 1` makes one.")
    else:
        columns = ("collection", "kind", "schedule", "last run", "due")
        table(columns, [tuple(row.values()) for row in found])


@app.command()
def remove(name: Name, evaluation: Evaluation = False, as_json: AsJson = False) -> None:
    """Run the collection by time no longer."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, schedules

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        if not schedules.drop_schedule(backend.conn, found.id, _kind(evaluation)):
            raise NotFoundError(
                f"{name} has no schedule: `rag schedule list` shows those there are.",
                code="schedule_not_found",
            )
    if as_json:
        write_json({"collection": name, "removed": True})
    else:
        say(f"{name} is no longer {'evaluated' if evaluation else 'run'} by time.")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A list of {topic, segment, schedule: days}.")
    ],
    as_json: AsJson = False,
) -> None:
    """Take over a scheduler.json: all of its entries, or none when one of them is wrong."""
    from rag.cli.backend import open_backend
    from rag.schedules import read_scheduler_file
    from rag.store import collections, schedules

    entries = list(read_scheduler_file(file))
    with open_backend() as backend, backend.conn.transaction():
        for name, rhythm in entries:
            found = collections.find_collection(backend.conn, name)
            schedules.set_schedule(backend.conn, found.id, rhythm, "ingest")
    if as_json:
        write_json({"schedules": len(entries)})
    else:
        say(f"{plural(len(entries), 'schedule')} taken over from {escape(file)}.")


@app.command()
def objective(
    name: Name,
    warn_s: Annotated[
        float | None, typer.Option(min=1, metavar="S", help="Seconds until a change is late.")
    ] = None,
    fail_s: Annotated[
        float | None, typer.Option(min=1, metavar="S", help="Seconds until it is stale.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="As the settings say.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show or set how current the collection should be."""
    from dataclasses import asdict

    from rag.cli.backend import open_backend
    from rag.freshness import measure, percentiles, span
    from rag.model import CollectionName
    from rag.store import collections, freshness

    if default and (warn_s is not None or fail_s is not None):
        raise ConfigurationError("Give --default or seconds, not both.", code="bad_objective")
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        if default:
            freshness.drop_objective(backend.conn, found.id)
        aim = measure(backend.conn, found, backend.settings).objective
        if warn_s is not None or fail_s is not None:
            warn, fail = warn_s or aim.warn_s, fail_s or aim.fail_s
            if fail < warn:
                raise ConfigurationError(
                    "--fail-s must not be below --warn-s.", code="bad_objective"
                )
            freshness.set_objective(backend.conn, found.id, warn, fail)
        shards = [
            measure(backend.conn, found, backend.settings, index) for index in range(found.shards)
        ]
    aim = shards[0].objective
    if as_json:
        write_json({"objective": asdict(aim), "shards": [asdict(shard) for shard in shards]})
        return
    say(f"{name}: warn after {span(aim.warn_s)}, fail after {span(aim.fail_s)}.")
    for number, shard in enumerate(shards):
        say(f"Shard {number} is {shard.state}. {shard.words} {percentiles(shard)}")
