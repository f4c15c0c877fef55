"""XML looked at before any tree is built of it: nesting and entities. Bounded time and memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from rag.errors import PolicyError
from rag.parse.limits import ParseLimits

_CHUNK = 256 * 1024
_LONG_ENTITY = 10_000


def check_members(path: Path, members: Iterable[zipfile.ZipInfo], limits: ParseLimits) -> None:
    """Look through these members of an archive. Raises PolicyError (`xml_bomb`)."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in members:
                with archive.open(member) as stream:
                    check_xml(stream, limits)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError):
        return  # damaged: the format's own reader says what is wrong with it


def check_xml(stream: BinaryIO, limits: ParseLimits) -> None:
    """Read a part to its end, or to where it is no XML any more: what follows no reader takes
    either. Raises PolicyError (`xml_bomb`)."""
    watch = _Watch(limits.xml_depth)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = watch.start
    parser.EndElementHandler = watch.end
    parser.EntityDeclHandler = watch.entity
    while data := stream.read(_CHUNK):
        try:
            parser.Parse(data, False)
        except expat.ExpatError:
            return
        except (ValueError, LookupError):  # an encoding nobody knows
            return


class _Watch:
    """Counts open elements and judges declared entities."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._depth = 0

    def start(self, _name: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth > self._most:
            raise _bomb(f"elements nested more than {self._most} deep")

    def end(self, _name: str) -> None:
        self._depth -= 1

    def entity(
        self,
        _name: str,
        is_parameter: bool,
        value: str | None,
        _base: str | None,
        system_id: str | None,
        _public_id: str | None,
        notation: str | None,
    ) -> None:
        """Entities that grow or fetch are for attacks only; a short text or an image's name is
        honest."""
        if is_parameter:
            return
        if value is None and system_id and notation is None:
            raise _bomb("an entity that names another file")
        if value is not None and ("&" in value or len(value) > _LONG_ENTITY):
            raise _bomb("entities made of entities")


def _bomb(what: str) -> PolicyError:
    return PolicyError(
        f"The document's XML has {what}: it is refused as an attack on its reader; save it anew "
        "with an office program if you trust its origin.",
        code="xml_bomb",
    )
