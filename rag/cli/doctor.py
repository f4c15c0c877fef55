"""rag doctor: what is configured and reachable, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.boundary import Exit
from rag.cli.finding import Finding, Level, findings_of
from rag.cli.terminal import AsJson, console, escape, plural, say, table, write_json

if TYPE_CHECKING:
    from rag.cli.provenance import SettingInForce
    from rag.settings import Settings

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def doctor(
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the page of all settings, and do no more.")
    ] = False,
    show_settings: Annotated[
        bool, typer.Option("--settings", help="List every setting in force, not only those set.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is configured and reachable, in which version, what is wrong and what to do.
    Exits 1 when something will not work."""
    from rag.cli.provenance import settings_in_force
    from rag.settings import load_settings

    if reference:
        _print_reference(as_json=as_json)
        return
    settings = load_settings()
    rows = settings_in_force(settings)  # before our own checks touch the environment
    found = []
    for finding in examine(settings):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        is_well = not any(finding.level is Level.FAIL for finding in found)
        write_json({"ok": is_well, "findings": found, "settings": rows})
    else:
        _conclude(found, rows if show_settings else [])
    has_failed = any(finding.level is Level.FAIL for finding in found)
    raise typer.Exit(Exit.ERROR if has_failed else Exit.OK)


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, one after the other; none keeps the next from being made."""
    from rag.cli import checkup
    from rag.cli.exposure import exposure

    yield from checkup.programs()
    yield from checkup.configuration(settings)
    yield from findings_of("folder", lambda: checkup.folder(settings))
    yield from checkup.ports(settings)
    yield from exposure(settings)
    yield checkup.page()
    yield from findings_of("answers", lambda: checkup.answers(settings))
    yield from findings_of("postgres", lambda: _servers(settings))
    yield from findings_of("parser", lambda: checkup.parser(settings))
    yield from findings_of("executor", lambda: checkup.executor(settings))
    yield from findings_of("embedding", lambda: checkup.embedding(settings))


def _servers(settings: Settings) -> Iterator[Finding]:
    from rag.cli import server_checkup
    from rag.cli.backend import open_backend, served
    from rag.stack.supervisor import connect_or_start

    with connect_or_start(settings) as endpoints:
        is_well = True
        for finding in findings_of(
            "postgres", lambda: server_checkup.postgres(settings, endpoints)
        ):
            is_well = is_well and finding.level is not Level.FAIL
            yield finding
        if not is_well:
            return
        yield from findings_of("api keys", lambda: server_checkup.keys(endpoints))
        with open_backend() as backend, served(backend, ["s3://"]) as complete:
            yield from findings_of("object store", lambda: server_checkup.object_store(complete))
        yield from findings_of("dagster", lambda: server_checkup.dagster(endpoints))


def _show(finding: Finding) -> None:
    from rich.table import Table

    line = Table.grid(padding=(0, 2))
    line.add_column(width=4)
    line.add_column(width=13)
    line.add_column(overflow="fold")
    colour = _COLOURS[finding.level]
    advice = f"\n[{colour}]-> {escape(finding.advice)}[/{colour}]" if finding.advice else ""
    line.add_row(
        f"[{colour}]{finding.level}[/{colour}]", finding.subject, escape(finding.detail) + advice
    )
    console().print(line)


def _conclude(found: list[Finding], rows: list[SettingInForce]) -> None:
    if rows:
        table(
            ["setting", "value", "from"],
            [(row.name, escape(row.value), row.source) for row in rows],
            fixed=["setting", "from"],
        )
    failed = sum(finding.level is Level.FAIL for finding in found)
    warned = sum(finding.level is Level.WARN for finding in found)
    if failed:
        say(f"\n[red]{plural(failed, 'failure')}[/red], {plural(warned, 'warning')}.")
    elif warned:
        say(f"\nIn working order, with {plural(warned, 'warning')}.")
    else:
        say("\nIn working order.")


def _print_reference(*, as_json: bool) -> None:
    from rag.cli.reference import settings_page, settings_rows

    if as_json:
        write_json({"settings": settings_rows()})
    else:
        print(settings_page(), end="")
