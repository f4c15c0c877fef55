"""Datasets are read from the shapes people have them in; a wrong file is named, never guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openpyxl import Workbook

from rag.errors import ConfigurationError
from rag.evaluation.dataset import Item, Relevant, content_digest
from rag.evaluation.reading import TEMPLATE_SHEET, read_dataset


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_row_is_a_question_and_a_topic_holds_until_the_next(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.csv",
        "topic|question|answer|document|passage\n"
        "Wind|How fast?|7 m/s|mast.pdf|seven metres\n|Where?|On the mast|a.txt;b.txt|\n||x||\n",
    )  # fmt: skip
    assert read_dataset(path) == [
        Item("row-1", "How fast?", "7 m/s", "Wind", (Relevant("mast.pdf", "seven metres"),)),
        Item("row-2", "Where?", "On the mast", "Wind", (Relevant("a.txt"), Relevant("b.txt"))),
    ]


def test_jsonl_is_read_in_our_names_and_in_those_of_other_tools(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"key": "k", "question": "Q", "answer": "A", "relevant": ["d", {"document": "e",
         "grade": 2}]},
        {"id": "7", "input": {"question": "Q2"}, "expected_output": {"answer": "A2"},
         "metadata": {"topic": "T"}},
        {"input": "Q3", "expected_output": "A3"},
    ]  # fmt: skip
    path = write(tmp_path, "a.jsonl", "\n".join(json.dumps(row) for row in rows))
    assert read_dataset(path) == [
        Item("k", "Q", "A", None, (Relevant("d"), Relevant("e", None, 2))),
        Item("7", "Q2", "A2", "T"),
        Item("line-3", "Q3", "A3"),
    ]


def test_a_beir_folder_gives_the_queries_that_have_judgements(tmp_path: Path) -> None:
    queries = [{"_id": name, "text": f"text {name}"} for name in "abc"]
    write(tmp_path, "queries.jsonl", "\n".join(json.dumps(each) for each in queries))
    write(tmp_path, "qrels/test.tsv", "query-id\tcorpus-id\tscore\na\td1\t2\nb\td2\t0\na\td3\t1\n")
    assert read_dataset(tmp_path) == [
        Item("a", "text a", relevant=(Relevant("d1", None, 2), Relevant("d3")))
    ]


def test_the_template_has_a_column_per_question_from_column_i_on(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.create_sheet(TEMPLATE_SHEET)
    for at, (topic, question, answer) in enumerate(
        [("T1", "Q1", "A1"), (None, "Q2", None), (None, None, "left out"), ("T2", "Q4", 12)]
    ):
        for row, value in zip((3, 4, 5), (topic, question, answer), strict=True):
            sheet.cell(row, 9 + at, value)
    book.save(tmp_path / "t.xlsx")
    assert read_dataset(tmp_path / "t.xlsx") == [
        Item("column-9", "Q1", "A1", "T1"),
        Item("column-10", "Q2", None, "T1"),
        Item("column-12", "Q4", "12", "T2"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.csv", "question|answer\n", "empty_dataset"),
        ("a.jsonl", '{"question": "Q", "key": "1"}\n{"question": "R", "key": "1"}',
         "duplicate_item"),
        ("a.jsonl", "{", "dataset_malformed"),
        ("a.jsonl", '["no object"]', "dataset_malformed"),
        ("a.jsonl", '{"question": "Q", "relevant": [{"text": "no document"}]}',
         "dataset_malformed"),
        ("a.xlsx", "no zip", "dataset_malformed"),
        ("a.docx", "", "dataset_not_supported"),
        ("folder/queries.jsonl", "{}", "dataset_not_found"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_dataset_is_named(
    tmp_path: Path, name: str, text: str, code: str
) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ConfigurationError) as caught:
        read_dataset(path.parent if "/" in name else path)
    assert caught.value.code == code
    assert str(tmp_path) in caught.value.message or code == "dataset_not_supported"


def test_the_digest_names_the_content_and_not_its_order() -> None:
    one, two = Item("a", "Q"), Item("b", "R", "A")
    assert content_digest([one, two]) == content_digest([two, one])
    assert content_digest([one]) != content_digest([Item("a", "Q", "A")])
