"""Makes extracted text safe to store and honest to read. Pure, and safe for every language.

Never removes visible characters of any script: zero-width joiners that Indic scripts, Persian and
emoji need are kept where they join letters, and right-to-left marks are judged, not assumed bad.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass

_NUL_OR_SURROGATE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028]")
_PARAGRAPH_END = re.compile("\u2029")
_SPACES = re.compile("[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_RUNS = re.compile(r"(?<=\S)[ ]{2,}(?=\S)")
_TRAILING = re.compile(r" +(?=\n|$)")
_BLANK_LINES = re.compile(r"\n{3,}")
_ZERO_WIDTH = re.compile("[\u200b\u2060\ufeff\u180e\u2061-\u2064\u206a-\u206f\ufff9-\ufffb]")
_SOFT_HYPHEN = re.compile("\u00ad")
_JOINERS = re.compile("[\u200c\u200d]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TAGS = re.compile("[\U000e0000-\U000e007f]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
_MANY_UNSEEN = 12


@dataclass(frozen=True, slots=True)
class CleaningConfig:
    """Which steps run; each can be switched alone. NUL and lone surrogates, which Postgres refuses,
    always go. Hidden text (invisible or unreadably small words of a PDF) is flagged, and left out
    only when asked for: a layer that OCR made looks much the same."""

    strip_zero_width: bool = True
    strip_bidi_controls: bool = True
    strip_tag_characters: bool = True
    strip_controls: bool = True
    strip_soft_hyphens: bool = True
    normalise_spaces: bool = True
    compose_unicode: bool = True
    strip_hidden_text: bool = False

    def as_json(self) -> dict[str, bool]:
        """The configuration as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HiddenCharacters:
    """How many characters of a text no reader sees, by sort; `unseen` are ordinary ones in hidden
    words."""

    zero_width: int = 0
    bidi: int = 0
    tags: int = 0
    visible: int = 0
    unseen: int = 0

    def __add__(self, other: HiddenCharacters) -> HiddenCharacters:
        return HiddenCharacters(
            self.zero_width + other.zero_width,
            self.bidi + other.bidi,
            self.tags + other.tags,
            self.visible + other.visible,
            self.unseen + other.unseen,
        )

    @property
    def suspicion(self) -> float:
        """0 (nothing hidden) to 1. Tags can only be there to hide text; one is enough for 0.5.
        Hidden words make 0.2 and more, by their number and share.
        Bidirectional overrides count by their number, zero-width characters by their share."""
        score = min(1.0, 0.5 + self.tags / 100) if self.tags else 0.0
        score = max(score, min(0.8, self.bidi / 25))
        if self.unseen >= _MANY_UNSEEN:
            share = self.unseen / max(1, self.visible)
            score = max(score, min(0.9, 0.2 + self.unseen / 400 + share))
        share = self.zero_width / max(1, self.visible)
        return round(max(score, min(0.9, share * 10) if self.zero_width > 2 else 0.0), 3)


def hidden_characters(text: str) -> HiddenCharacters:
    """Counts the hidden characters of `text`; flag emoji and joined letters are not hidden."""
    if text.isascii():
        return HiddenCharacters(visible=len(text))
    shown = _FLAG.sub("", text)
    zero_width = len(_ZERO_WIDTH.findall(shown)) + _loose_joiners(shown)
    # a mark at the very start is a byte-order mark, not a hiding place
    zero_width -= shown.startswith("\ufeff")
    return HiddenCharacters(
        zero_width, len(_BIDI.findall(shown)), len(_TAGS.findall(shown)), len(text)
    )


def clean(text: str, config: CleaningConfig, *, is_code: bool = False) -> str:
    """`text` without what `config` strips. What comes out is valid UTF-8 without NUL; cleaning
    twice changes nothing more. Code keeps its runs of spaces."""
    if text.isascii():
        text = text.replace("\0", "")
    else:
        text = _clean_unicode(_NUL_OR_SURROGATE.sub("", text), config)
    if config.strip_controls:
        text = _CONTROL.sub("", text)
    if config.normalise_spaces:
        text = _line_ends(text) if is_code else _normalise_spaces(text)
    return text


def _clean_unicode(text: str, config: CleaningConfig) -> str:
    if config.strip_tag_characters:
        text = _strip_tags(text)
    if config.strip_zero_width:
        text = _ZERO_WIDTH.sub("", text)
        text = _JOINERS.sub(lambda m: m[0] if _joins(m.string, m.start()) else "", text)
    if config.strip_bidi_controls:
        text = _BIDI.sub("", text)
    if config.strip_soft_hyphens:
        text = _SOFT_HYPHEN.sub("", text)
    return unicodedata.normalize("NFC", text) if config.compose_unicode else text


def _strip_tags(text: str) -> str:
    parts, end = [], 0
    for flag in _FLAG.finditer(text):
        parts += [_TAGS.sub("", text[end : flag.start()]), flag[0]]
        end = flag.end()
    return "".join([*parts, _TAGS.sub("", text[end:])])


def _line_ends(text: str) -> str:
    if text.isascii() and not ("\r" in text or "\v" in text or "\f" in text):
        return text
    return _PARAGRAPH_END.sub("\n\n", _LINE_ENDS.sub("\n", text))


def _normalise_spaces(text: str) -> str:
    text = _line_ends(text)
    text = text.replace("\t", " ") if text.isascii() else _SPACES.sub(" ", text)
    # to look first costs a hundredth of what the expressions do, and most text needs none
    if "  " in text:
        text = _RUNS.sub(" ", text)
    if " \n" in text or text.endswith(" "):
        text = _TRAILING.sub("", text)
    return _BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _loose_joiners(text: str) -> int:
    return sum(1 for m in _JOINERS.finditer(text) if not _joins(text, m.start()))


def _joins(text: str, index: int) -> bool:
    """True when the joiner at `index` stands after a letter, mark or symbol outside Latin, Greek
    and Cyrillic: there it has a visible effect."""
    if index == 0:
        return False
    before = text[index - 1]
    return ord(before) > 0x052F and unicodedata.category(before)[0] in "LMS"
