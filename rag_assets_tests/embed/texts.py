"""Texts of every kind an embedder meets."""

from __future__ import annotations

PROSE = (
    "The station on the ridge lost its anemometer to rime ice in the night, and the observer "
    "noted a gust of forty-one metres per second before the cups stopped turning. "
)
VARIED = [
    "",
    " ",
    "a",
    "7",
    "?",
    "\n\t\n",
    "wind",
    "Frozen wind gauges",
    "What does frozen wind look like?",
    "WHAT DOES FROZEN WIND LOOK LIKE?",
    "Invoice 2024-11-19: 1,240.50 EUR, due within 30 days.",
    "def mean(values): return sum(values) / len(values)",
    "| alarm | code |\n|---|---|\n| frost | A17 |",
    "https://example.org/a/b?c=d#e",
    "{'key': [1, 2.5, null, true]}",
    "Der Windmesser auf dem Grat ist in der Nacht vereist.",
    "L'anémomètre de la crête a gelé pendant la nuit.",
    "El anemómetro de la cresta se congeló anoche.",
    "Анемометр на хребте замёрз ночью.",
    "山脊上的风速计在夜里结冰了。",
    "尾根の風速計は夜の間に凍結した。",
    "المقياس تجمد في الليل",
    "मापक रात में जम गया",
    "능선의 풍속계가 밤새 얼었다",
    "🌬️🧊 -> 📉",
    "e\u0301 and \u00e9",
    "zero\u200bwidth and\u00a0hard spaces",
    "nul \x00 byte",
    "lone surrogate \udc80 here",
    "x" * 300,
    "word " * 254,
    "word " * 255,
    "word " * 2000,
    PROSE,
    PROSE * 2,
    PROSE * 5,
    PROSE * 8,
    PROSE * 40,
    "First paragraph.\n\n" + PROSE + "\n\n- one\n- two\n\n" + PROSE * 3,
    "H2O, CO\u2082, 5 \u00b5m, \u221a2 \u2248 1.414, \u2211x\u00b2",
]
