"""rag evaluate: datasets of questions, experiments on them, their results side by side."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, escape, note, plural, say, table, write_json

if TYPE_CHECKING:
    from rag.evaluation.langfuse import Langfuse
    from rag.store.collections import Collection
    from rag.store.database import Connection

app = typer.Typer(
    help="Datasets of questions, experiments on them, their results side by side.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")]
Dataset = Annotated[str | None, typer.Option(help="The dataset; else the newest that people made.")]


Split = Annotated[str, typer.Option(help="Which judgements of a BEIR folder.")]


class Shape(StrEnum):
    """What an export is."""

    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"


@app.command("import")
def import_(
    name: Name,
    path: Annotated[Path, typer.Argument(help="CSV, JSONL, xlsx template or BEIR folder.")],
    dataset: Annotated[str | None, typer.Option(help="Its name; else the file's.")] = None,
    split: Split = "test",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace one of that name if it asks other things.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read a dataset: questions with answers, documents or passages that should be found."""
    from rag.cli.backend import open_backend
    from rag.evaluation.experiment import import_dataset, replace_dataset
    from rag.evaluation.reading import read_dataset
    from rag.model import CollectionName
    from rag.store import collections

    items = read_dataset(path, split)
    called = dataset or path.stem
    keep = replace_dataset if replace else import_dataset
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        keep(backend.conn, found, called, items)
    _show_dataset(name, called, len(items), as_json)


@app.command()
def prepare(
    path: Annotated[Path, typer.Argument(help="CSV, JSONL, xlsx template or BEIR folder.")],
    to: Annotated[Path, typer.Option(help="The JSONL file to write.")],
    split: Split = "test",
    as_json: AsJson = False,
) -> None:
    """Check a dataset of any shape and write it as JSONL, without a collection or a database."""
    from rag.evaluation.dataset import as_json_lines, content_digest
    from rag.evaluation.reading import read_dataset

    items = read_dataset(path, split)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(as_json_lines(items), encoding="utf-8")
    if as_json:
        write_json({"file": str(to), "items": len(items), "digest": content_digest(items).hex()})
    else:
        say(f"Wrote {plural(len(items), 'question')} to {escape(to)}.")


@app.command()
def push(
    name: Name,
    dataset: Dataset = None,
    experiment: Annotated[list[str] | None, typer.Option(help="An experiment, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a dataset, and experiments with their scores, to Langfuse. A repeat changes nothing."""
    from rag.cli.backend import open_backend
    from rag.evaluation import export as exports
    from rag.evaluation.experiment import item_from_row
    from rag.evaluation.langfuse import open_langfuse
    from rag.model import CollectionName
    from rag.store import collections, evaluation

    with open_backend() as backend, open_langfuse(backend.settings) as langfuse:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        chosen = evaluation.find_dataset(backend.conn, found.id, dataset)
        items = [item_from_row(row) for row in evaluation.items(backend.conn, chosen["id"])]
        langfuse.push_dataset(chosen["name"], items)
        for side in exports.sides(backend.conn, found, experiment or []):
            langfuse.push_run(chosen["name"], side)
    if as_json:
        write_json({"dataset": chosen["name"], "items": len(items), "runs": experiment or []})
    else:
        say(f"Sent {plural(len(items), 'question')} and {plural(len(experiment or []), 'run')}.")


@app.command()
def pull(
    name: Name,
    dataset: Annotated[str, typer.Option(help="The dataset in Langfuse.")],
    experiment: Annotated[
        list[str] | None, typer.Option(help="The scores of an experiment that was pushed, instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset from Langfuse; one of that name that asks other things is replaced. Or the
    scores that were given to experiments there."""
    from rag.cli.backend import open_backend
    from rag.evaluation.experiment import replace_dataset
    from rag.evaluation.langfuse import open_langfuse
    from rag.model import CollectionName
    from rag.store import collections

    with open_backend() as backend, open_langfuse(backend.settings) as langfuse:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        if experiment:
            _pull_scores(backend.conn, found, langfuse, dataset, experiment, as_json)
            return
        items = langfuse.pull_dataset(dataset)
        replace_dataset(backend.conn, found, dataset, items)
    _show_dataset(name, dataset, len(items), as_json)


@app.command()
def synthesize(
    name: Name,
    dataset: Annotated[str, typer.Option(help="Its name.")] = "synthetic",
    questions: Annotated[int | None, typer.Option(min=1, help="How many, at most.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make questions of the collection's own passages, marked as synthetic: by the language model
    when one is configured, else of each passage's rarest words."""
    from rag.cli.backend import open_backend
    from rag.evaluation.experiment import import_dataset
    from rag.evaluation.synthetic import synthetic_items
    from rag.llm import open_model
    from rag.model import CollectionName
    from rag.store import collections, evaluation

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        most = questions or backend.settings.synthetic_questions
        rows = evaluation.passages_to_ask(backend.conn, found.id, most)
        items = synthetic_items(rows, open_model(backend.settings))
        import_dataset(backend.conn, found, dataset, items, is_synthetic=True)
    _show_dataset(name, dataset, len(items), as_json)


def _pull_scores(
    conn: Connection, found: Collection, langfuse: Langfuse, dataset: str, names: list[str],
    as_json: bool,
) -> None:  # fmt: skip
    from rag.evaluation import export as exports
    from rag.store import evaluation

    new = 0
    for side in exports.sides(conn, found, names):
        scores = langfuse.pull_scores(dataset, side.name, side.results)
        kept = evaluation.find_experiment(conn, found.id, side.name)
        assert kept is not None
        new += evaluation.take_scores(conn, kept["id"], scores, "given in Langfuse")
    if as_json:
        write_json({"dataset": dataset, "runs": names, "new_scores": new})
    else:
        say(f"Took over {plural(new, 'score')} of {plural(len(names), 'run')}.")


def _show_dataset(name: str, dataset: str, count: int, as_json: bool) -> None:
    if as_json:
        write_json({"collection": name, "dataset": dataset, "items": count})
    else:
        say(
            f"The dataset [bold]{escape(dataset)}[/bold] of {name} has {plural(count, 'question')}."
        )
        say(f"Next: `rag evaluate run {name} --dataset {escape(dataset)}`.")


@app.command()
def run(
    name: Name,
    dataset: Dataset = None,
    experiment: Annotated[
        str, typer.Option(help="Its name; one that ends in -XXXXXXXX goes on with that one.")
    ] = "experiment",
    metric: Annotated[list[str] | None, typer.Option(help="A metric; may be repeated.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 10,
    generation: Annotated[int | None, typer.Option(help="Else the live one.")] = None,
    delay: Annotated[float, typer.Option(min=0, help="Seconds between two questions.")] = 0.0,
    to: Annotated[
        Path | None, typer.Option(help="Folder for metrics.json, scores.csv and report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask every question of a dataset and score what is found and answered."""
    from rag.cli.backend import open_backend
    from rag.cli.workshop import open_lab
    from rag.evaluation.experiment import Method, run_experiment
    from rag.evaluation.export import sides
    from rag.evaluation.metrics import RANKING
    from rag.evaluation.report import write_folder
    from rag.model import CollectionName
    from rag.store import collections, evaluation

    full_name = CollectionName.parse(name)
    method = Method(tuple(metric or RANKING), k=k, delay_s=delay)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        chosen = evaluation.find_dataset(backend.conn, found.id, dataset)
        ran = run_experiment(open_lab(backend), full_name, chosen, method,
                             called=experiment, generation=generation)  # fmt: skip
        rows = evaluation.experiments(backend.conn, found.id)
        if to is not None:
            write_folder(to, sides(backend.conn, found, [ran.name])[0])
    (row,) = (each for each in rows if each["id"] == ran.id)
    for warning in ran.warnings:
        note(warning)
    if as_json:
        write_json({"collection": name, "dataset": chosen["name"], **asdict(ran),
                    "is_synthetic": chosen["is_synthetic"], "means": row["means"]})  # fmt: skip
        return
    say(f"[bold]{ran.name}[/bold] on generation {ran.generation}: {ran.done_now} questions asked, "
        f"{ran.done_before} done before.")  # fmt: skip
    means = [(key, f"{value:.4f}") for key, value in sorted(row["means"].items())]
    table(["metric", "mean"], means, right=["mean"])


@app.command("list")
def list_all(name: Name, as_json: AsJson = False) -> None:
    """The collection's datasets and experiments."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, evaluation

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        datasets = evaluation.datasets(backend.conn, found.id)
        experiments = evaluation.experiments(backend.conn, found.id)
    if as_json:
        write_json({"collection": name, "datasets": datasets, "experiments": experiments})
        return
    table(["dataset", "questions", "synthetic", "digest"],
          [(escape(row["name"]), row["items"], row["is_synthetic"], row["digest"][:12])
           for row in datasets], right=["questions"])  # fmt: skip
    table(["experiment", "dataset", "generation", "done", "means"],
          [(escape(row["name"]), escape(row["dataset"]), row["generation_id"],
            f"{row['done']}/{row['items']}",
            ", ".join(f"{key} {value:.3f}" for key, value in sorted(row["means"].items())))
           for row in experiments], fixed=["experiment"])  # fmt: skip


@app.command()
def export(
    name: Name,
    experiment: Annotated[list[str], typer.Argument(help="Experiments, side by side.")],
    to: Annotated[Path, typer.Option(help="File to write; its ending says what.")],
    as_json: AsJson = False,
) -> None:
    """Write results side by side: .csv, .xlsx, or .html with plots."""
    from rag.cli.backend import open_backend
    from rag.errors import ConfigurationError
    from rag.evaluation import export as exports
    from rag.evaluation.report import html_report
    from rag.model import CollectionName
    from rag.store import collections

    if to.suffix.lstrip(".").lower() not in [shape.value for shape in Shape]:
        raise ConfigurationError(
            f"{to.suffix or to.name} is no export: name a .csv, .xlsx or .html file.",
            code="bad_export",
        )
    shape = Shape(to.suffix.lstrip(".").lower())
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        chosen = exports.sides(backend.conn, found, experiment)
        if shape is Shape.CSV:
            exports.write_csv(to, chosen)
        elif shape is Shape.XLSX:
            exports.write_xlsx(to, chosen, backend.settings.answer_unknown)
        else:
            to.write_text(html_report(f"{name}: {', '.join(experiment)}", chosen), encoding="utf-8")
    if as_json:
        write_json({"collection": name, "file": str(to), "experiments": experiment})
    else:
        say(f"Wrote {escape(to)}.")
