"""A large collection made of real sentences, with vectors in the real model's space.

A passage is sentences of two or three SciFact abstracts; its vector is the normalised mean of its
sentences' own vectors, so only the sentences are embedded. Questions are SciFact's claims.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval.judged import load
from benchmarks.retrieval.vectors import embedded
from rag.embed.engine import EmbeddingEngine

PASSAGES_PER_DOCUMENT = 8
_ABSTRACTS = 2500
_SENTENCES = 3  # of an abstract at a time
CHUNK_WORDS = 240
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

# documents by how often a name holds them: a filter for `*-5pct*` lets 5 % through
SHARES = {"50pct": 2, "5pct": 20, "1pct": 100, "0.1pct": 1000}


@dataclass(frozen=True, slots=True)
class Crowd:
    """Documents by name, and the vector of every passage and question."""

    documents: dict[str, list[str]]
    vectors: dict[str, NDArray[np.float32]]


def questions() -> list[str]:
    """What is asked: SciFact's test claims."""
    return list(load("scifact").questions.values())


def sentences() -> list[list[str]]:
    """The sentences of each abstract."""
    texts = list(load("scifact").passages.values())[:_ABSTRACTS]
    cut = [[" ".join(s.split()) for s in _END.split(text) if len(s) > 30] for text in texts]
    return [found for found in cut if len(found) >= _SENTENCES]


def make(passages: int, embedder: EmbeddingEngine, seed: int = 1) -> Crowd:
    """That many passages in documents of eight."""
    source = random.Random(seed)
    abstracts = sentences()
    flat = [sentence for abstract in abstracts for sentence in abstract]
    vector_of = dict(zip(flat, embedded(flat, embedder), strict=True))
    documents: dict[str, list[str]] = {}
    vectors: dict[str, NDArray[np.float32]] = {}
    for number in range(-(-passages // PASSAGES_PER_DOCUMENT)):
        texts = []
        for _ in range(PASSAGES_PER_DOCUMENT):
            chosen = _passage(source, abstracts)
            text = " ".join(chosen)
            mean = np.mean([vector_of[sentence] for sentence in chosen], axis=0)
            vectors[text] = (mean / np.linalg.norm(mean)).astype(np.float32)
            texts.append(text)
        documents[_name(number)] = texts
    return Crowd(documents, vectors)


def _passage(source: random.Random, abstracts: list[list[str]]) -> list[str]:
    """Sentences of two abstracts, together of a length that two passages never share a chunk and
    none is split."""
    chosen: list[str] = []
    words = 0
    for abstract in iter(lambda: source.choice(abstracts), None):
        for sentence in source.sample(abstract, _SENTENCES):
            length = len(sentence.split())
            if words + length <= CHUNK_WORDS:
                chosen.append(sentence)
                words += length
        if words > CHUNK_WORDS // 2:
            return chosen
    raise AssertionError("there is always another abstract")


def _name(number: int) -> str:
    marks = "".join(f"-{share}" for share, each in SHARES.items() if number % each == 0)
    return f"document-{number:06d}{marks}.txt"
