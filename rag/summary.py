"""Short texts made of a text's own sentences: its topic and its summary. Pure, in any language."""

from __future__ import annotations

import re
from collections import Counter
from math import log, log1p

from rag.chunking.borders import sentences as sentences_of

_TOPIC_LONGEST = 120
_TOPIC_CUT = 80
_SENTENCE_LONGEST = 500
_FEWEST_WORDS = 4
# a script without spaces is read letter by letter
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def topic_name(text: str) -> str:
    """The first sentence if it has at most 120 characters, else the first 80 and '...'."""
    found = sentences_of(text)
    if not found:
        return ""
    if len(found[0]) <= _TOPIC_LONGEST:
        return found[0]
    return " ".join(text.split())[:_TOPIC_CUT].rstrip() + "..."


def summarise(text: str, sentences: int) -> str:
    """The `sentences` sentences that say most of what the text is about, in its order.

    A word weighs more the oftener the text uses it, less the more sentences it stands in; so
    words that only hold a language together weigh little, whatever the language. Takes time in
    proportion to the text."""
    if sentences < 1:
        return ""
    candidates = list(dict.fromkeys(_shortened(sentence) for sentence in sentences_of(text)))
    if len(candidates) <= sentences:
        return " ".join(candidates)
    scores = _scores([_WORD.findall(candidate.lower()) for candidate in candidates])
    best = sorted(range(len(candidates)), key=lambda index: (-scores[index], index))
    return " ".join(candidates[index] for index in sorted(best[:sentences]))


def _scores(words: list[list[str]]) -> list[float]:
    uses = Counter(word for sentence in words for word in sentence)
    spread = Counter(word for sentence in words for word in set(sentence))
    weights = {
        word: log1p(count) * log(1 + len(words) / spread[word]) for word, count in uses.items()
    }
    return [_score(sentence, weights, index / len(words)) for index, sentence in enumerate(words)]


def _score(words: list[str], weights: dict[str, float], place: float) -> float:
    """Weight per word, with a slight lead for what comes early; fragments come last."""
    if not words:
        return 0.0
    # sorted: a set's order, and with it the sum's last bit, differs between processes
    weight = sum(weights[word] for word in sorted(set(words))) / (len(words) + _FEWEST_WORDS)
    return weight * (1.2 - 0.2 * place) * min(1.0, len(words) / _FEWEST_WORDS)


def _shortened(sentence: str) -> str:
    """The sentence, or the first words of what is too long to be one."""
    if len(sentence) <= _SENTENCE_LONGEST:
        return sentence
    return sentence[:_SENTENCE_LONGEST].rsplit(" ", 1)[0] + "..."
