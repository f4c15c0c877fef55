"""Descriptions of pictures by a vision model behind an OpenAI-compatible endpoint. Runs in the
worker: it passes bytes on, and looks into none."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rag.errors import (
    ConfigurationError,
    PoisonError,
    QuotaError,
    RagError,
    TerminalError,
    TransientError,
    UnavailableError,
)
from rag.model import BlockKind, ParsedDocument
from rag.parse.cleaning import CleaningConfig, clean
from rag.parse.figures import IMAGE_MARK
from rag.parse.pictures import marked
from rag.parse.pieces import Piece, join
from rag.ports import Captioner

PROMPT = (
    "Describe this picture in one or two plain sentences for someone who can not see it. Say what "
    "it shows, and copy the words and numbers that can be read in it. Begin with the description."
)
CAPTIONS_MISSING = "captions_missing"  # metadata of a document that `rag retry` parses again
_LONGEST = 800  # characters kept of a description
_MAX_TOKENS = 200
_OPENER = re.compile(
    r"^(?:(?:sure|certainly|of course|here(?: is|'s))\b[^.:!]{0,60}[.:!]\s*)+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class CaptionConfig:
    """Where the vision model is; at most `most` pictures of a document whose shorter side has
    `min_side` pixels are described."""

    base_url: str
    model: str
    api_key: str = field(default="none", repr=False)
    timeout_s: float = 20.0
    most: int = 10
    min_side: int = 100

    def identity(self) -> dict[str, object]:
        """What of it a description depends on: part of the parser's fingerprint."""
        return {
            "base_url": self.base_url,
            "model": self.model,
            "prompt": PROMPT,
            "most": self.most,
            "min_side": self.min_side,
        }


class VisionModel:
    """A `Captioner` that speaks chat/completions with images."""

    def __init__(self, config: CaptionConfig) -> None:
        self._endpoint = config
        self.most = config.most
        self.min_side = config.min_side
        self.config = config.identity()

    def caption(self, jpeg: bytes) -> str:
        """What the picture shows. Ends within `timeout_s`, however slowly the endpoint speaks."""
        from openai import APIConnectionError, APIStatusError, OpenAIError

        try:
            return asyncio.run(asyncio.wait_for(self._ask(jpeg), self._endpoint.timeout_s))
        except (TimeoutError, APIConnectionError) as exc:
            raise _unavailable("does not answer in time") from exc
        except APIStatusError as exc:
            raise _refused(exc.status_code) from exc
        except (OpenAIError, ValueError, TypeError, AttributeError, LookupError) as exc:
            raise TerminalError(
                "The caption endpoint's answer is no chat completion: check caption_base_url.",
                code="caption_malformed",
            ) from exc

    async def _ask(self, jpeg: bytes) -> str:
        from openai import AsyncOpenAI

        url = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
        async with AsyncOpenAI(
            base_url=self._endpoint.base_url,
            api_key=self._endpoint.api_key,
            timeout=self._endpoint.timeout_s,
            max_retries=0,
        ) as client:
            reply = await client.chat.completions.create(
                model=self._endpoint.model,
                max_tokens=_MAX_TOKENS,
                temperature=0,
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": PROMPT},
                            {"type": "image_url", "image_url": {"url": url}},
                        ],
                    }
                ],
            )
        content = reply.choices[0].message.content
        if not isinstance(content, str):
            raise TypeError("no text")
        return content


def _unavailable(how: str) -> UnavailableError:
    return UnavailableError(
        f"The caption endpoint {how}: see that it runs, or unset caption_base_url.",
        code="captioner_unavailable",
    )


def _refused(status: int) -> RagError:
    if status == 429:
        return QuotaError("The caption endpoint's rate is used up.", code="caption_rate_limited")
    if status >= 500:
        return _unavailable(f"failed with status {status}")
    return ConfigurationError(
        f"The caption endpoint refused the call with status {status}: check caption_api_key and "
        "caption_model.",
        code="caption_refused",
    )


def captioned(
    document: ParsedDocument, jpegs: Sequence[bytes], captioner: Captioner
) -> ParsedDocument:
    """The document with its pictures described in their places. A picture that can not be goes
    without, and a warning says so; once the endpoint is away, this document asks it no more.
    Raises PoisonError (`no_text`) when nothing but a picture was there."""
    wanted = [number for number in _marks(document) if number < len(jpegs)][: captioner.most]
    texts, failed = _texts(wanted, jpegs, captioner)
    document = _in_place(document, texts)
    if not document.text:
        why = f" ({failed.code})" if failed else ""
        raise PoisonError(
            f"The file is a picture without text, and it could not be described{why}: see that "
            "the caption endpoint runs, then `rag retry`.",
            code="no_text",
        )
    if texts:
        document = replace(document, metadata={**document.metadata, "captions": str(len(texts))})
    if failed is None:
        return document
    missing = len(wanted) - len(texts)
    warning = f"pictures_without_caption: {missing} of {len(wanted)} pictures ({failed.code})"
    return replace(
        document,
        is_partial=True,
        warnings=(*document.warnings, warning),
        metadata={**document.metadata, CAPTIONS_MISSING: str(missing)},
    )


def _texts(
    wanted: Sequence[int], jpegs: Sequence[bytes], captioner: Captioner
) -> tuple[dict[int, str], RagError | None]:
    texts: dict[int, str] = {}
    failed: RagError | None = None
    for number in wanted:
        try:
            text = _tidy(captioner.caption(jpegs[number]))
        except RagError as error:
            failed = error
            if isinstance(error, TransientError | ConfigurationError):
                break
            continue
        if text:
            texts[number] = text
    return texts, failed


def _tidy(text: str) -> str:
    """One line, as clean as the document's own text, without the model's opening words."""
    line = " ".join(clean(text, CleaningConfig()).split())
    return _OPENER.sub("", line)[:_LONGEST].strip()


def _marks(document: ParsedDocument) -> list[int]:
    found = (
        marked(document.text[block.start : block.end])
        for block in document.blocks
        if block.kind is BlockKind.FIGURE
    )
    return [number for number in found if number is not None]


def _in_place(document: ParsedDocument, texts: Mapping[int, str]) -> ParsedDocument:
    """The document with each mark replaced by its text, or taken out."""
    pieces = []
    for block in document.blocks:
        text = document.text[block.start : block.end]
        number = marked(text) if block.kind is BlockKind.FIGURE else None
        if number is not None:
            text = IMAGE_MARK + texts[number] if number in texts else ""
        pieces.append(Piece(block.kind, text, block.page_first, block.level, block.page_last))
    text, blocks = join(pieces, lambda piece: piece.text)
    return replace(document, text=text, blocks=blocks)
