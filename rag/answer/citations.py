"""What a model may say: citations of passages it was given, and addresses that stand in them.

Pure. A streamed answer is checked word by word, so nothing unchecked is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rag.chunking.borders import sentences

_NUMBERS = re.compile(
    r"[\[【]\s*(\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*)\s*(?:†[^\]】]*)?[\]】]"  # noqa: RUF001
)
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(\s*<?([^()\s<>]*(?:\([^()\s]*\)[^()\s]*)*)>?[^()]*\)")
# markup that loads or runs something; `List<String>` is none
_TAG = re.compile(
    r"</?(?:[a-z][^<>]*=[^<>]*|(?:script|style|iframe|object|embed|img|svg|link|meta|base|form)\b"
    r"[^<>]*)>",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?|ftp|data|javascript):[^\s<>\"')\]]+", re.IGNORECASE)
_WORD_END = re.compile(r"[\s。！？，、；]")  # noqa: RUF001
_LONGEST_BRACKET = 300
_AFTER_END = re.compile(r"([.!?…。！？]+)\s*((?:\[\d+\]\s*)+)")  # noqa: RUF001
_CITED = re.compile(r"\[(\d+)\]")
_FEWEST_WORDS = 4
_WIDEST_RANGE = 50


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was taken out of an answer, and why: `invented_citation`, `foreign_link`, `markup`."""

    reason: str
    text: str


class CitationCheck:
    """Passes text through, less what it must not say; `cited` and `dropped` grow with it.

    `numbers` are those of the passages; `sources` their texts and addresses, where a link may come
    from; `secret` is never passed on."""

    def __init__(self, numbers: Collection[int], sources: Sequence[str], secret: str = "") -> None:
        self._numbers = frozenset(numbers)
        self._sources = "\n".join(sources)
        self._secret = secret
        self._held = ""
        self.cited: list[int] = []
        self.dropped: list[Dropped] = []

    def feed(self, piece: str) -> str:
        """What of the text so far is whole and checked."""
        self._held += piece
        cut = self._whole()
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._clean(ready)

    def end(self) -> str:
        """The rest."""
        ready, self._held = self._held, ""
        return self._clean(ready)

    def _whole(self) -> int:
        """Up to where words are complete and no bracket or tag is open."""
        ends = [match.end() for match in _WORD_END.finditer(self._held)]
        cut = ends[-1] if ends else 0
        for opening, closing in (("[", "]"), ("【", "】"), ("<", ">")):
            start = self._held.rfind(opening, 0, cut)
            is_open = start > self._held.rfind(closing, 0, cut)
            if is_open and len(self._held) - start < _LONGEST_BRACKET:
                cut = min(cut, start)
        while 0 < cut < len(self._held) and self._held[cut - 1] == "!" and self._held[cut] == "[":
            cut -= 1
        return cut

    def _clean(self, text: str) -> str:
        if self._secret:
            text = text.replace(self._secret, "")
        text = _LINK.sub(self._link, text)
        text = _TAG.sub(self._tag, text)
        text = _ADDRESS.sub(self._address, text)
        return _NUMBERS.sub(self._citation, text)

    def _link(self, match: re.Match[str]) -> str:
        is_image, label, address = match[1], match[2], match[3]
        if not is_image and self._is_known(address):
            return match[0]
        self._drop("foreign_link", match[0])
        return "" if is_image else label

    def _tag(self, match: re.Match[str]) -> str:
        self._drop("markup", match[0])
        return ""

    def _address(self, match: re.Match[str]) -> str:
        if self._is_known(match[0]):
            return match[0]
        self._drop("foreign_link", match[0])
        return ""

    def _is_known(self, address: str) -> bool:
        return bool(address) and address.rstrip(".,;:!?") in self._sources

    def _citation(self, match: re.Match[str]) -> str:
        numbers = _expanded(match[1])
        kept = [number for number in numbers if number in self._numbers]
        if len(kept) < len(numbers):
            self._drop("invented_citation", match[0])
        self.cited += [number for number in dict.fromkeys(kept) if number not in self.cited]
        return "".join(f"[{number}]" for number in kept)

    def _drop(self, reason: str, text: str) -> None:
        self.dropped.append(Dropped(reason, text[:_LONGEST_BRACKET]))


def _expanded(text: str) -> list[int]:
    """The numbers of `1, 3-5`; of a range too wide to be one, its ends."""
    numbers: list[int] = []
    for part in re.split(r"[,;]", text):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        is_range = len(ends) == 2 and 0 < ends[1] - ends[0] <= _WIDEST_RANGE
        numbers += range(ends[0], ends[1] + 1) if is_range else ends
    return numbers


def uncited_sentences(answer: str) -> list[str]:
    """Sentences of an answer that name no passage; lead-ins and fragments need none."""
    placed = _AFTER_END.sub(lambda match: f" {match[2].strip()}{match[1]} ", answer)
    lines = [sentence for line in placed.splitlines() for sentence in sentences(line)]
    return [
        line
        for line in lines
        if not _CITED.search(line)
        and not line.endswith((":", "：")) and not line.startswith("#")  # noqa: RUF001
        and len(line.split()) >= _FEWEST_WORDS
    ]  # fmt: skip


def without_citations(text: str) -> str:
    """The text less every citation."""
    return " ".join(_NUMBERS.sub("", text).split())


def without_numbers_in_brackets(text: str) -> str:
    """A passage's own `[7]` as `(7)`: copied into an answer it would pass for a citation."""
    return _NUMBERS.sub(lambda match: f"({match[1]})", text)
