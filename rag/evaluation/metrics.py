"""What a result is worth. Each metric by its standard definition, through the library that is known
for it: ir-measures for rankings, sacrebleu, rouge-score and rapidfuzz for texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from rag.errors import ConfigurationError
from rag.evaluation.dataset import Item, Relevant
from rag.model import Hit
from rag.ports import Embedder

FAILED = -1.0
RANKING = ("hit@4", "hit@10", "recall@4", "recall@10", "MRR", "nDCG@10")
# what decides whether something is worse than something else
DECISIVE = ("recall@10", "nDCG@10")
TEXT = (
    "SemanticSimilarity",
    "NonLLMStringSimilarity",
    "BleuScore",
    "RougeScore",
    "StringPresence",
    "ExactMatch",
)
JUDGED = (
    "Faithfulness",
    "ResponseRelevancy",
    "LLMContextPrecisionWithoutReference",
    "LLMContextRecall",
    "FactualCorrectness",
)


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one result, from 0 to 1; -1 with a reason when it could not be had."""

    metric: str
    value: float
    reason: str | None = None


def check_metrics(names: Sequence[str]) -> None:
    """Raises ConfigurationError (`unknown_metric`)."""
    for name in names:
        if name not in (*RANKING, *TEXT, *JUDGED):
            raise ConfigurationError(
                f"There is no metric {name}: take of {', '.join((*RANKING, *TEXT, *JUDGED))}.",
                code="unknown_metric",
            )


def ranking_scores(item: Item, hits: Sequence[Hit], names: Sequence[str]) -> list[Score]:
    """The ranking metrics of one question; none when it does not say what should be found.

    With passage texts a hit counts when it holds, or is held by, a text not found before; with
    documents alone the first hit of each counts."""
    wanted = [name for name in names if name in RANKING]
    if not item.relevant or not wanted:
        return []
    from ir_measures import MRR, R, ScoredDoc, Success, calc_aggregate, nDCG
    from ir_measures.util import Qrel

    measures = {
        "hit@4": Success @ 4, "hit@10": Success @ 10, "recall@4": R @ 4, "recall@10": R @ 10,
        "MRR": MRR, "nDCG@10": nDCG @ 10,
    }  # fmt: skip
    qrels = [Qrel("q", f"r{at}", each.grade) for at, each in enumerate(item.relevant)]
    found = ranked_units(item.relevant, hits) or ["nothing"]
    run = [ScoredDoc("q", unit, float(-at)) for at, unit in enumerate(found)]
    values = calc_aggregate([measures[name] for name in wanted], qrels, run)
    return [Score(name, float(values[measures[name]])) for name in wanted]


def ranked_units(relevant: Sequence[Relevant], hits: Sequence[Hit]) -> list[str]:
    """The ranking as the metrics see it: `r<n>` for what should be found, each once, and the
    document for anything else, each once."""
    units: list[str] = []
    for hit in hits:
        fitting = [at for at, each in enumerate(relevant) if is_found(each, hit)]
        fresh = [f"r{at}" for at in fitting if f"r{at}" not in units]
        if fresh:
            units.append(fresh[0])
        elif not fitting and (name := f"x {hit.uri}") not in units:
            units.append(name)
    return units


def is_found(relevant: Relevant, hit: Hit) -> bool:
    """Whether the hit is of that document, and holds that text where one is named."""
    if not names_document(relevant.document, hit.uri):
        return False
    if relevant.text is None:
        return True
    wanted, text = _plain(relevant.text), _plain(hit.text)
    return bool(wanted) and (wanted in text or (text in wanted and 2 * len(text) >= len(wanted)))


def names_document(name: str, uri: str) -> bool:
    """Whether a dataset's name for a document means the one at `uri`."""
    path = PurePosixPath(uri.partition("#")[0] if "#" in uri and "#" not in name else uri)
    own = (uri, path.name, path.stem, uri.rpartition("#")[2])
    return name in own or uri.endswith(f"/{name}")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def text_scores(
    item: Item, answer: str | None, names: Sequence[str], embedder: Embedder | None
) -> list[Score]:
    """The text metrics of one answer against the expected one; none when none is expected."""
    wanted = [name for name in names if name in TEXT]
    if item.answer is None or not wanted:
        return []
    if not answer or not answer.strip():
        return [Score(name, FAILED, "no answer") for name in wanted]
    expected = item.answer
    scorers: Mapping[str, Callable[[], float]] = {
        "SemanticSimilarity": lambda: _semantic(answer, expected, embedder),
        "NonLLMStringSimilarity": lambda: _levenshtein(answer, expected),
        "BleuScore": lambda: _bleu(answer, expected),
        "RougeScore": lambda: _rouge(answer, expected),
        "StringPresence": lambda: float(expected in answer),
        "ExactMatch": lambda: float(expected == answer),
    }
    return [Score(name, scorers[name]()) for name in wanted]


def _semantic(answer: str, expected: str, embedder: Embedder | None) -> float:
    if embedder is None:
        raise ConfigurationError(
            "SemanticSimilarity needs the embedding model.", code="metric_needs_model"
        )
    one, other = embedder.embed([answer, expected])
    return float(np.clip(one @ other, 0.0, 1.0))


def _levenshtein(answer: str, expected: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(expected, answer))


def _bleu(answer: str, expected: str) -> float:
    """Corpus BLEU over sentences, as a share."""
    from sacrebleu import corpus_bleu

    ours, theirs = answer.split(". "), expected.split(". ")
    length = max(len(ours), len(theirs))
    ours += [""] * (length - len(ours))
    theirs += [""] * (length - len(theirs))
    return float(min(1.0, corpus_bleu(ours, [theirs]).score / 100))


def _rouge(answer: str, expected: str) -> float:
    """ROUGE-L F-measure, stemmed."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return float(scorer.score(expected, answer)["rougeL"].fmeasure)


def averages(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each metric, failed ones left out; a metric that never came out is left out."""
    kept = {name: [v for v in values if v != FAILED] for name, values in scores.items()}
    return {name: float(np.mean(values)) for name, values in kept.items() if values}
