"""The parser child: reads requests from stdin, answers with sealed results on stdout.

Started by the pool as `python -m rag.parse.child <json>`. Confines itself before it reads anything
of a document; parses one file at a time; keeps docling imported between files. Whatever happens to
a document here becomes a RagError in its answer, or the end of this process.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rag.errors import PoisonError, RagError
from rag.model import ParsedDocument
from rag.parse import sandbox, wire
from rag.parse.attachments import Head, extract
from rag.parse.child_config import ChildConfig
from rag.parse.limits import MIB
from rag.parse.pictures import Shelf, set_aside


def main(argument: str) -> None:
    """Serve requests until stdin ends."""
    config = ChildConfig.from_argument(argument)
    requests, answers = _take_pipes()
    logging.disable(logging.CRITICAL)  # library logs may quote the document
    warnings.simplefilter("ignore")
    if config.artifacts is None:
        _leave_out_models()
    models = None if config.artifacts is None else Path(config.artifacts)
    holds = sandbox.confine(config.limits, None if config.office else config.temporary, models)
    if config.artifacts is None and not config.office:
        sandbox.limit_address_space(config.limits)
    _limit_images(config.limits.image_pixels)
    _send(answers, wire.pack_json(wire.READY, {"pid": os.getpid(), **holds}))
    if config.ahead:
        _import_readers()
    while (frame := wire.read_frame(requests, MIB)) is not None:
        _serve(json.loads(frame[1]), config, answers)


def _serve(request: dict[str, object], config: ChildConfig, answers: BinaryIO) -> None:
    def report(**progress: int) -> None:
        _send(answers, wire.pack_json(wire.PROGRESS, progress))

    try:
        if "page" in request:
            value = _draw(request)
        elif "attachments" in request:
            value = wire.heads_json(_extract(request, config))
        else:
            shelf = _shelf(request)
            with set_aside(shelf):
                value = wire.document_json(_parse(request, config, report))
            value["pictures"] = shelf.sizes if shelf else []
    except RagError as exc:
        value = wire.error_json(exc)
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    _send(answers, wire.pack(wire.RESULT, wire.seal(str(request["nonce"]), body)))


def _shelf(request: dict[str, object]) -> Shelf | None:
    if "pictures" not in request:
        return None
    return Shelf(Path(str(request["pictures"])), int(str(request["min_side"])))


def _parse(
    request: dict[str, object], config: ChildConfig, report: Callable[..., None]
) -> ParsedDocument:
    from rag.parse.convert import parse_file

    with _refused():
        return parse_file(*_subject(request), config, report)


def _extract(request: dict[str, object], config: ChildConfig) -> list[Head]:
    folder = Path(str(request["attachments"]))
    with _refused():
        return extract(*_subject(request), config.limits, folder)


def _draw(request: dict[str, object]) -> dict[str, object]:
    from rag.parse.page_image import draw

    with _refused():
        return draw(_subject(request)[0], int(str(request["page"])), str(request["passage"]))


def _subject(request: dict[str, object]) -> tuple[Path, str, tuple[str, ...]]:
    """Path, name and passwords of a request."""
    passwords = request["passwords"]
    assert isinstance(passwords, list)
    return Path(str(request["path"])), str(request["name"]), tuple(map(str, passwords))


@contextmanager
def _refused() -> Iterator[None]:
    """Too much memory or nesting is the document's error, and so is what nobody expected."""
    try:
        yield
    except RagError:
        raise
    except MemoryError as exc:
        raise PoisonError(
            "The document needs more memory than allowed: split it, or raise parse_memory_bytes "
            "(for one collection: in collection_limits).",
            code="parse_memory",
        ) from exc
    except RecursionError as exc:
        raise PoisonError(
            "The document is nested too deeply to be read: save it again in a simpler form.",
            code="corrupt_file",
        ) from exc
    except Exception as exc:
        from rag.parse.convert import reader_failed

        raise reader_failed("such", exc) from exc


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our ends of the pipes, moved away from 0 and 1 so that a library that prints can not break
    the protocol."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return requests, answers


def _leave_out_models() -> None:
    """Without layout models torch is never used, but docling would import it for 2 s and 180 MB."""
    for name in ("torch", "transformers"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _import_readers() -> None:
    """What most files want, imported while the first is still on its way. What can not be imported
    fails with the file that wants it."""
    with suppress(ImportError):
        import docling.datamodel.document  # noqa: F401

        import rag.parse.convert
        import rag.parse.mail
        import rag.parse.plaintext
        import rag.parse.web  # noqa: F401


def _limit_images(pixels: int) -> None:
    """Pillow refuses what has more than twice its limit, before a pixel is decoded."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = pixels // 2


def _send(answers: BinaryIO, frame: bytes) -> None:
    answers.write(frame)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
