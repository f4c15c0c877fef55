"""rag index: build a generation beside the live one, judge it, let it serve, take it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.boundary import Exit
from rag.cli.terminal import AsJson, cell, escape, plural, say, table, write_json

if TYPE_CHECKING:
    from rag.generations.gate import Decision
    from rag.generations.promotion import Moved

app = typer.Typer(
    help="Generations: plan, build, judge, promote, roll back.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")]
Generation = Annotated[int, typer.Argument(help="The generation's number, as `list` shows it.")]
Chosen = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the recipe: embedding_model, embedding_precision, chunk_strategy, "
        "chunk_size, chunk_overlap or chunk_prefix. May be repeated.",
    ),
]


@app.command()
def plan(name: Name, chosen: Chosen = None, as_json: AsJson = False) -> None:
    """Say what a build would cost before anything runs: documents, chunks, vectors reused and new,
    minutes and bytes, by this installation's own figures."""
    from rag.cli.backend import open_backend
    from rag.cli.workshop import open_workshop
    from rag.generations.plan import plan_index
    from rag.ingest.current import with_recipe
    from rag.model import CollectionName, Shard
    from rag.recipe import parse_recipe
    from rag.store import collections

    full_name, recipe = CollectionName.parse(name), parse_recipe(chosen or [])
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        with open_workshop(backend, found) as shop:
            made = plan_index(with_recipe(shop, recipe), Shard(full_name))
    if as_json:
        write_json({"collection": name, "recipe": recipe, **made.as_object()})
        return
    about = "about " if made.is_estimate else ""
    say(f"{plural(made.documents, 'document')}: {made.to_parse:,} to parse, {made.to_cut:,} to cut")
    say(f"{about}{plural(made.chunks, 'chunk')}: {made.vectors_reused:,} vectors reused, "
        f"{made.vectors_new:,} new")  # fmt: skip
    figures = "this installation's own figures" if made.is_own_figures else "usual figures"
    say(f"about {made.minutes:.1f} minutes and {made.bytes / 2**20:.1f} MiB, by {figures}")


@app.command()
def build(
    name: Name,
    chosen: Chosen = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Let it wait, whatever the collection's gate says.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(help="What asked for it, such as a Git or DVC revision.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build a generation beside the live one, reusing all it can. It goes live when it has caught
    up, unless it is held or the collection is gated. A repeat goes on where it ended."""
    from rag.cli.backend import open_backend
    from rag.cli.stages import followed_stages
    from rag.cli.workshop import open_workshop
    from rag.generations import promotion
    from rag.model import CollectionName
    from rag.recipe import parse_recipe
    from rag.store import collections

    full_name, recipe = CollectionName.parse(name), parse_recipe(chosen or [])
    with open_backend() as backend, followed_stages(is_silent=as_json) as stages:
        found = collections.find_collection(backend.conn, full_name)
        with open_workshop(backend, found, stages.show) as shop:
            built = promotion.build_candidate(shop, full_name, recipe, revision, is_held=hold)
    if as_json:
        write_json({"collection": name, **asdict(built)})
        return
    state = "is live" if built.is_live else "waits"
    say(f"Generation [bold]{built.generation}[/bold] {state}: {built.embedded:,} vectors made in "
        f"{built.seconds:.1f} s, {plural(built.behind, 'document')} behind.")  # fmt: skip
    if not built.is_live:
        say(f"Next: `rag index gate {name}`, then `rag index promote {name} {built.generation}`.")


@app.command("list")
def list_all(name: Name, as_json: AsJson = False) -> None:
    """The collection's generations: state, configuration, size, what the gate said."""
    from rag.cli.backend import open_backend
    from rag.generations.names import collisions, index_name
    from rag.model import CollectionName
    from rag.store import collections, generations

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        rows = generations.all_of(backend.conn, found.id)
        standing = generations.standing(backend.conn, found.id)
    for row in rows:
        row["session"] = row["run_id"] or str(row["id"])
        row["index_name"] = index_name(full_name, row["session"])
    same = collisions((full_name, f"{row['session']}") for row in rows)
    if as_json:
        write_json({"collection": name, "is_gated": standing["is_gated"],
                    "recipe": standing["recipe"], "generations": rows,
                    "collisions": {key: list(value) for key, value in same.items()}})  # fmt: skip
        return
    gate = "gated" if standing["is_gated"] else "not gated"
    own = ", ".join(f"{key}={value}" for key, value in standing["recipe"].items())
    say(f"[bold]{name}[/bold], {gate}{f', own recipe {escape(own)}' if own else ''}")
    table(
        ["id", "state", "documents", "chunks", "model", "recipe", "gate", "built", "index name"],
        [
            (row["id"], row["state"], row["documents"], int(row["chunks"]),
             escape(row["embedding_model"] or ""), escape(_recipe(row["recipe"])),
             cell(row["gate_passed"]), row["created_at"], row["index_name"])
            for row in rows
        ],
        right=["id", "documents", "chunks"],
    )  # fmt: skip


def _recipe(recipe: dict[str, object] | None) -> str:
    if recipe is None:
        return "-"
    return f"{recipe['chunk_strategy']} {recipe['chunk_size']}/{recipe['chunk_overlap']}"


@app.command()
def compare(name: Name, first: Generation, second: Generation, as_json: AsJson = False) -> None:
    """How two generations differ: documents only one has, other versions, other cuts."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, generations

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        rows = [generations.find(backend.conn, found.id, each) for each in (first, second)]
        differing = generations.compare(backend.conn, first, second)
    if as_json:
        write_json({"collection": name, "generations": rows, **differing})
        return
    shown = ("state", "documents", "chunks", "parser", "chunker", "model")
    table(["", str(first), str(second)],
          [(each, *(row[each] for row in rows)) for each in shown])  # fmt: skip
    say(", ".join(f"{key.replace('_', ' ')}: {count}" for key, count in differing.items()))


@app.command()
def gate(
    name: Name,
    generation: Annotated[int | None, typer.Option(help="Else the newest candidate.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Else the newest that people made.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let it serve if it passes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a candidate against the live generation on the golden set, by counts, filtered recall
    and latency. Exit code 1 when it does not pass; the live one serves on."""
    from rag.cli.backend import open_backend
    from rag.cli.workshop import open_lab
    from rag.generations import promotion
    from rag.generations.gate import judge_candidate
    from rag.model import CollectionName

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        decision = judge_candidate(open_lab(backend), full_name, generation, dataset)
        if promote and decision.passed:
            promotion.promote(backend.conn, full_name, decision.candidate, backend.settings)
    if as_json:
        write_json(decision.as_object())
    else:
        show_decision(decision)
    if not decision.passed:
        raise typer.Exit(Exit.ERROR)


def show_decision(decision: Decision) -> None:
    """What the gate said, for people."""
    word = "[green]passes[/green]" if decision.passed else "[red]does not pass[/red]"
    kind = " (synthetic)" if decision.is_synthetic else ""
    say(f"Generation {decision.candidate} {word} on {escape(decision.dataset)}{kind}.")
    table(
        ["metric", "questions", "live", "candidate", "difference", "95 %"],
        [(each.metric, each.questions, f"{each.live:.4f}", f"{each.candidate:.4f}",
          f"{each.difference:+.4f}", f"{each.low:+.4f} to {each.high:+.4f}")
         for each in decision.comparisons],
        right=["questions", "live", "candidate", "difference"],
    )  # fmt: skip
    for each in decision.checks:
        say(f"  {'ok' if each.passed else 'NOT'}  {each.name}: {each.text}")
    for reason in decision.reasons:
        say(f"  [red]{escape(reason)}[/red]")
    for lost in decision.worse[:5]:
        say(f"  worse: {escape(lost['question'])} ({lost['live']:.2f} -> {lost['candidate']:.2f})")


@app.command()
def promote(
    name: Name,
    generation: Generation,
    force: Annotated[
        bool, typer.Option("--force", help="Though it lacks documents or the gate did not pass it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let a generation serve, from the next search on."""
    from rag.cli.backend import open_backend
    from rag.generations import promotion
    from rag.model import CollectionName

    with open_backend() as backend:
        moved = promotion.promote(
            backend.conn, CollectionName.parse(name), generation, backend.settings, is_forced=force
        )
    _show_moved(name, moved, as_json)


@app.command()
def rollback(
    name: Name,
    generation: Annotated[int | None, typer.Option(help="Else the one that served last.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let the generation serve again that served before. What was deleted meanwhile stays deleted;
    what was added comes with the next run."""
    from rag.cli.backend import open_backend
    from rag.generations import promotion
    from rag.model import CollectionName

    with open_backend() as backend:
        moved = promotion.roll_back(
            backend.conn, CollectionName.parse(name), backend.settings, generation
        )
    _show_moved(name, moved, as_json)


def _show_moved(name: str, moved: Moved, as_json: bool) -> None:
    if as_json:
        write_json({"collection": name, **asdict(moved)})
        return
    say(f"{name} is served by generation [bold]{moved.generation}[/bold], before by "
        f"{cell(moved.before)}.")  # fmt: skip
    if moved.behind:
        say(f"It lacks {plural(moved.behind, 'document')}: the next run brings them.")
    if moved.recipe:
        own = ", ".join(f"{key}={value}" for key, value in moved.recipe.items())
        say(f"The collection keeps {escape(own)}, whatever the settings say.")


@app.command()
def retire(name: Name, generation: Generation, as_json: AsJson = False) -> None:
    """Give a candidate up. Its rows stay until `purge` or the daily sweep."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, generations

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        generations.retire(backend.conn, found.id, generation)
    if as_json:
        write_json({"collection": name, "retired": generation})
    else:
        say(f"Generation {generation} is retired.")


@app.command()
def purge(
    name: Name,
    keep: Annotated[int, typer.Option(min=0, help="How many retired ones stay, newest first.")] = 1,
    generation: Annotated[int | None, typer.Option(help="Only this retired one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remove retired generations with their search rows. Vectors stay until the daily sweep."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, generations

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        gone = generations.purge(backend.conn, found.id, keep, generation)
    if as_json:
        write_json({"collection": name, "purged": gone})
    else:
        say(f"Removed {plural(len(gone), 'retired generation')}.")
