"""The command `rag`: a thin skin over the use cases. Starts fast because nothing heavy is imported
before a command needs it (a test holds that).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from rag.cli import (
    alerts,
    answer,
    backfill,
    collection,
    demo,
    doctor,
    drift,
    evaluate,
    exchange,
    forget,
    index,
    ingest,
    key,
    mcp,
    migrate,
    plan,
    retry,
    schedule,
    search,
    serve,
    status,
    sweep,
    up,
)
from rag.cli.boundary import run

EPILOG = (
    "Exit codes: 0 done, 1 error, 2 wrong command line, 3 ingested but some documents failed, "
    "130 Ctrl-C. Settings: docs/settings.md or `rag doctor --reference`."
)

_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Look": (doctor.doctor, search.search, answer.answer, status.status, plan.plan, forget.lineage),
    "Work": (
        ingest.ingest,
        exchange.import_csv,
        exchange.export_csv,
        backfill.backfill,
        retry.retry,
        retry.confirm_deletions,
        forget.forget,
        sweep.sweep,
    ),
    "Run": (demo.demo, up.up, serve.serve, mcp.mcp, migrate.migrate),
}


def build_app() -> typer.Typer:
    """The whole command tree."""
    app = typer.Typer(
        name="rag",
        help="Keep documents answerable: files in S3 become cited passages in Postgres.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for panel, commands in _PANELS.items():
        for command in commands:
            app.command(
                command.__name__.replace("_", "-"),
                help=" ".join((command.__doc__ or "").split()),  # one paragraph, wrapped anew
                rich_help_panel=panel,
            )(command)
    app.add_typer(collection.app, name="collection", rich_help_panel="Work")
    app.add_typer(index.app, name="index", rich_help_panel="Work")
    app.add_typer(evaluate.app, name="evaluate", rich_help_panel="Work")
    app.add_typer(schedule.app, name="schedule", rich_help_panel="Work")
    app.add_typer(drift.app, name="drift", rich_help_panel="Work")
    app.add_typer(alerts.app, name="alerts", rich_help_panel="Look")
    app.add_typer(key.app, name="key", rich_help_panel="Work")
    return app


def run_rag(arguments: list[str]) -> int:
    """The exit code of one command line."""
    app = build_app()
    return run(lambda: app(arguments, standalone_mode=False, prog_name="rag"), arguments)


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    sys.exit(run_rag(arguments))


if __name__ == "__main__":
    main()
