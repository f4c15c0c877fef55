"""Collections with questions and relevance judgements: any BEIR-style folder, and the two others
of the shared data."""

from __future__ import annotations

import csv
import json
import os
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Judgements = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Passages by id, questions by id, and which passages answer which question."""

    name: str
    passages: dict[str, str]
    questions: dict[str, str]
    judgements: Judgements


def data_folder() -> Path:
    """RAG_TEST_DATA, or the folder next to this repository."""
    return Path(os.environ.get("RAG_TEST_DATA", "../shared/data")) / "retrieval"


def load(name: str) -> Judged:
    """One of `LOADERS` by name, or a BEIR-style folder by its path."""
    loader = LOADERS.get(name)
    return loader(data_folder() / name) if loader else beir(Path(name))


def beir(folder: Path, split: str = "test") -> Judged:
    """`corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv` (or `<split>.tsv`)."""
    passages = {
        row["_id"]: f"{row.get('title', '')}\n\n{row['text']}".strip()
        for row in _lines(folder / "corpus.jsonl")
    }
    judgements = _judgements(folder, split)
    texts = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    questions = {key: texts[key] for key in judgements}
    return Judged(folder.name, passages, questions, judgements)


def _judgements(folder: Path, split: str) -> Judgements:
    inside = folder / "qrels" / f"{split}.tsv"
    found: Judgements = {}
    with (inside if inside.exists() else folder / f"{split}.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return found


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:  # never splitlines(): U+2028 is no end of a record
            yield json.loads(line)


def cranfield(folder: Path) -> Judged:
    """TREC form; its judgements number the questions by position, not by their `num`."""
    documents = ET.fromstring(f"<all>{_body(folder / 'cran.all.1400.xml')}</all>")
    passages = {
        _text(doc, "docno"): f"{_text(doc, 'title')}\n\n{_text(doc, 'text')}".strip()
        for doc in documents.iter("doc")
    }
    topics = ET.parse(folder / "cran.qry.xml").iter("top")
    questions = {str(at): _text(top, "title") for at, top in enumerate(topics, start=1)}
    judgements: Judgements = {}
    for line in (folder / "cranqrel.trec.txt").read_text(encoding="utf-8").splitlines():
        question, _, passage, grade = line.split()
        judgements.setdefault(question, {})[passage] = max(0, int(grade))
    return Judged("cranfield", passages, questions, judgements)


def _body(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text.partition("?>")[2] if text.startswith("<?xml") else text


def _text(node: ET.Element, name: str) -> str:
    return " ".join((node.findtext(name) or "").split())


def squad(folder: Path, most_questions: int = 1000) -> Judged:
    """Paragraphs of SQuAD's articles; every tenth question, whose paragraph is the one answer."""
    with zipfile.ZipFile(folder / "dev-v1.1.json.zip") as packed:
        articles = json.loads(packed.read(packed.namelist()[0]))["data"]
    passages: dict[str, str] = {}
    asked: list[tuple[str, str, str]] = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            key = str(len(passages))
            passages[key] = paragraph["context"]
            asked += [(qa["id"], qa["question"], key) for qa in paragraph["qas"]]
    chosen = asked[:: max(1, len(asked) // most_questions)][:most_questions]
    questions = {key: text for key, text, _ in chosen}
    return Judged("squad", passages, questions, {key: {place: 1} for key, _, place in chosen})


LOADERS: dict[str, Callable[[Path], Judged]] = {
    "scifact": beir,
    "cranfield": cranfield,
    "squad": squad,
}
