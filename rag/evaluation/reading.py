"""Datasets from files: CSV, JSONL, a BEIR-style folder, and the xlsx template."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.errors import ConfigurationError
from rag.evaluation.dataset import Item, Relevant, check_items

TEMPLATE_SHEET = "Template_Suivi_Recette"
_FIRST_COLUMN = 9  # I, counted from 1
_TOPIC, _QUESTION, _ANSWER = 3, 4, 5
_MOST_BYTES = 200 * 1024 * 1024
_FIELD_BYTES = 10 * 1024 * 1024


def read_dataset(path: Path, split: str = "test") -> list[Item]:
    """The items of a file or folder, by its ending; `split` is the qrels file of a BEIR folder.

    Raises ConfigurationError: `dataset_not_found`, `dataset_not_supported`, `dataset_malformed`,
    `empty_dataset`, `duplicate_item`."""
    if not path.exists():
        raise ConfigurationError(f"There is no {path}.", code="dataset_not_found")
    if path.is_dir():
        return check_items(list(_beir(path, split)), str(path))
    if path.stat().st_size > _MOST_BYTES:
        raise _malformed(path, f"it has more than {_MOST_BYTES:,} bytes")
    readers = {".csv": _csv, ".jsonl": _jsonl, ".xlsx": _xlsx}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(
            f"{path.suffix or path.name} is not yet supported: give .csv, .jsonl, .xlsx or a "
            "folder with queries.jsonl and qrels.",
            code="dataset_not_supported",
        )
    try:
        return check_items(list(reader(path)), str(path))
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, KeyError, TypeError,
            AttributeError) as error:  # fmt: skip
        raise _malformed(path, str(error)) from None


def _csv(path: Path) -> Iterator[Item]:
    """Columns question, answer, topic, document, passage, key; `|` or `,` between them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = "|" if "|" in head else ("\t" if "\t" in head else ",")
        csv.field_size_limit(_FIELD_BYTES)
        topic = None
        for number, row in enumerate(csv.DictReader(file, delimiter=delimiter), start=1):
            topic = row.get("topic") or topic  # a topic holds until the next
            item = _item({**row, "topic": topic}, f"row-{number}")
            if item is not None:
                yield item


def _jsonl(path: Path) -> Iterator[Item]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                item = _item(json.loads(line), f"line-{number}")
                if item is not None:
                    yield item


def _item(row: Mapping[str, Any], key: str) -> Item | None:
    """A row as an item; None without a question. Names of other tools are understood, too."""
    inner = row.get("input")
    question = row.get("question") or (inner.get("question") if isinstance(inner, dict) else inner)
    if not question or not str(question).strip():
        return None
    expected = row.get("expected_output")
    answer = row.get("answer") or row.get("ground_truth") or (
        expected.get("answer") if isinstance(expected, dict) else expected
    )  # fmt: skip
    metadata = row.get("metadata") or {}
    return Item(
        key=str(row.get("key") or row.get("id") or row.get("_id") or key),
        question=str(question).strip(),
        answer=str(answer).strip() if answer else None,
        topic=str(row.get("topic") or metadata.get("topic") or "").strip() or None,
        relevant=tuple(_relevant(row)),
    )


def _relevant(row: Mapping[str, Any]) -> Iterator[Relevant]:
    for each in row.get("relevant") or row.get("documents") or ():
        if isinstance(each, str):
            yield Relevant(each)
        else:
            yield Relevant(each["document"], each.get("text"), int(each.get("grade", 1)))
    if row.get("document"):
        passage = row.get("passage")
        for name in str(row["document"]).split(";"):
            yield Relevant(name.strip(), str(passage) if passage else None)


def _xlsx(path: Path) -> Iterator[Item]:
    """The template: one column per question from column I on; row 3 topic, 4 question, 5 answer."""
    import zipfile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise _malformed(path, str(error)) from None
    try:
        if TEMPLATE_SHEET not in book.sheetnames:
            raise _malformed(path, f"it has no sheet {TEMPLATE_SHEET}")
        sheet = book[TEMPLATE_SHEET]
        rows = list(sheet.iter_rows(min_row=1, max_row=_ANSWER, min_col=_FIRST_COLUMN,
                                    values_only=True))  # fmt: skip
    finally:
        book.close()
    topics, questions, answers = (rows[at - 1] if len(rows) >= at else () for at in
                                  (_TOPIC, _QUESTION, _ANSWER))  # fmt: skip
    topic = None
    for number, question in enumerate(questions):
        topic = _cell(topics, number) or topic
        if question is not None and str(question).strip():
            yield Item(f"column-{number + _FIRST_COLUMN}", str(question).strip(),
                       _cell(answers, number), topic)  # fmt: skip


def _cell(row: tuple[object, ...], at: int) -> str | None:
    value = row[at] if at < len(row) else None
    return str(value).strip() or None if value is not None else None


def _beir(folder: Path, split: str) -> Iterator[Item]:
    """queries.jsonl (`_id`, `text`) and qrels/<split>.tsv or <split>.tsv (query, document, grade);
    documents are known by their id, as a file's stem or a row's address."""
    queries, qrels = folder / "queries.jsonl", folder / "qrels" / f"{split}.tsv"
    qrels = qrels if qrels.exists() else folder / f"{split}.tsv"
    for needed in (queries, qrels):
        if not needed.exists():
            raise ConfigurationError(f"There is no {needed}.", code="dataset_not_found")
    wanted: dict[str, list[Relevant]] = {}
    try:
        with qrels.open(encoding="utf-8") as file:
            for query, document, grade in csv.reader(file, delimiter="\t"):
                if grade.lstrip("-").isdigit() and int(grade) > 0:
                    wanted.setdefault(query, []).append(Relevant(document, None, int(grade)))
        with queries.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if row["_id"] in wanted:
                    yield Item(row["_id"], row["text"], relevant=tuple(wanted[row["_id"]]))
    except (ValueError, KeyError, csv.Error) as error:
        raise _malformed(folder, str(error)) from None


def _malformed(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} can not be read as a dataset ({why}): docs/evaluation.md shows the shapes.",
        code="dataset_malformed",
    )
