# ruff: noqa: RUF001
"""The language of a text, told from its script and its most common words. Pure.

Names a language only when the signs are clear and None otherwise: a wrong answer costs more than
no answer. Sixteen languages in Latin script, three in Cyrillic, and those with a script of their
own.
"""

from __future__ import annotations

import re
from collections import Counter

_SAMPLE = 20_000
_MIN_LETTERS = 25
_MIN_WORDS = 12
_MIN_DIFFERENT = 3  # stop words: fewer are met in code and lists, too
_MIN_SHARE = 0.10  # of the words that must be stop words of the language
_MIN_LEAD = 1.25  # over the second best
_PLAIN_LATIN = re.compile(rf"(?:[^A-Za-z]*[A-Za-z]){{{_MIN_LETTERS}}}")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_PLAIN_WORD = re.compile("[a-z]+(?:'[a-z]+)?")  # the same in lower-case ASCII, in half the time

# no character is of two of them
_SCRIPTS = {
    "latin": re.compile("[A-Za-z\u00c0-\u024f]"),
    "cyrillic": re.compile("[\u0400-\u04ff]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af\u1100-\u11ff]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "ar": re.compile("[\u0600-\u06ff\ufe70-\ufeff]"),
    "el": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "hi": re.compile("[\u0900-\u097f]"),
}
_STOP_WORDS = {
    "en": "the of and to in is that for it with as was on are this be by from or have an which",
    "de": "der die und das den von zu mit sich des auf für ist im dem nicht ein eine auch werden",
    "fr": "de à un le la les des et est une dans que qui pour pas sur au avec par ce il ne du aux",
    "es": "el la los las que y en un una es por con no para del se su al como más lo este",
    "it": "il di che la è per un una del non con sono della nel dei si le da alla gli anche questo",
    "pt": "o que e do da em um uma para com não os no se na por mais as dos como ao foi são das",
    "nl": "de het een van en in is dat op te zijn voor met niet aan er om ook als bij deze worden",
    "sv": "och att det i en som på är av för med den till inte om ett har de jag från kan var",
    "da": "og at det er en til af på der i for med ikke som den de et har om fra kan blev også",
    "nb": "og i det er på til som en at for av med ikke den har de et om fra kan ble også seg",
    "fi": "ja on ei että se oli hän ovat myös mutta kuin joka niin tai ole sen sekä voi jotka kun",
    "pl": "i w nie na się z do to że jest o jak po od za przez dla który jego są oraz lub być",
    "cs": "a se v na je že to s z do o jsou by který jako pro od ale po jeho nebo být také si",
    "hu": "a az és hogy nem is egy ez meg de volt van vagy csak mint ha már el még azt lehet",
    "ro": "de și în a la cu pe că nu este din care un o pentru mai sunt sau fi prin al lui ce",
    "tr": "ve bir bu için ile de da olarak daha çok gibi en olan kadar sonra ama ne her o değil",
}
_CYRILLIC = {
    "ru": "и в не на что он с как это по но из у за от все так же для бы или его был",
    "uk": "і в не на що він з як це по але із у за від все так для або його був та є",
    "bg": "и в не на че той с как това по но от за се са да е като или му беше до си",
}


def _languages_of(stop_words: dict[str, str]) -> dict[str, list[str]]:
    """The languages that each stop word belongs to."""
    found: dict[str, list[str]] = {}
    for code, words in stop_words.items():
        for word in set(words.split()):
            found.setdefault(word, []).append(code)
    return found


_LATIN_STOPS = _languages_of(_STOP_WORDS)
_CYRILLIC_STOPS = _languages_of(_CYRILLIC)
_OWN_LETTERS = {"uk": "іїєґ", "ru": "ыэё"}
_URDU_OR_PERSIAN = re.compile("[\u067e\u0686\u0698\u06af\u06cc\u06a9]")


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language `text` is written in; None when it is not clear."""
    sample = text[:_SAMPLE]
    script = _script(sample)
    if script == "latin":
        return _by_words(sample, _LATIN_STOPS)
    if script == "cyrillic":
        return _cyrillic(sample)
    if script == "ar" and len(_URDU_OR_PERSIAN.findall(sample)) * 20 > len(sample):
        return None  # Persian or Urdu: not told apart here
    return script


def _script(sample: str) -> str | None:
    if sample.isascii():
        return "latin" if _PLAIN_LATIN.match(sample) else None
    counts = dict.fromkeys(_SCRIPTS, 0)
    for character, times in Counter(sample).items():  # each different one is looked at once
        for name, pattern in _SCRIPTS.items():
            if pattern.match(character):
                counts[name] += times
                break
    if counts["ja"] * 8 > counts["zh"]:  # kana among the characters it shares with Chinese
        counts["ja"] += counts.pop("zh")
    total = sum(counts.values())
    best = max(counts, key=lambda name: counts[name])
    return best if total >= _MIN_LETTERS and counts[best] > 0.6 * total else None


def _cyrillic(sample: str) -> str | None:
    lower = sample.lower()
    own = {code: sum(map(lower.count, letters)) for code, letters in _OWN_LETTERS.items()}
    if sum(own.values()) >= 3:
        best = max(own, key=lambda code: own[code])
        return best if own[best] > 0.8 * sum(own.values()) else None
    return _by_words(sample, _CYRILLIC_STOPS)


def _by_words(sample: str, known: dict[str, list[str]]) -> str | None:
    word = _PLAIN_WORD if sample.isascii() else _WORD
    words = Counter(word.findall(sample.lower()))
    total = words.total()
    if total < _MIN_WORDS:
        return None
    hits: dict[str, list[int]] = {}  # by language: how often each of its stop words stands there
    for stop_word in words.keys() & known.keys():
        for code in known[stop_word]:
            hits.setdefault(code, []).append(words[stop_word])
    sums = [(sum(n), code) for code, n in hits.items() if len(n) >= _MIN_DIFFERENT]
    (first, best), (second, _) = sorted([*sums, (0, ""), (0, "")], reverse=True)[:2]
    if first < max(3, _MIN_SHARE * total) or first < _MIN_LEAD * second:
        return None
    return best
