"""What the three office formats share: fixed dates inside, fixed times in the archive."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime
from typing import Any

FIXED = datetime(2025, 5, 20, 8, 0, 0)  # noqa: DTZ001 - office properties carry no zone
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")


def written_on(meta: dict[str, str]) -> datetime:
    """The date in the front matter, or the fixed one."""
    return datetime.fromisoformat(meta["date"]) if "date" in meta else FIXED


def set_properties(core: Any, meta: dict[str, str]) -> None:
    """Title, author, language and dates of a document."""
    core.title = meta["title"]
    core.author = meta["author"]
    core.last_modified_by = meta["author"]
    core.language = meta.get("lang", "en")
    core.comments = ""
    core.revision = 1
    core.created = core.modified = written_on(meta)


def with_fixed_times(archive: bytes, meta: dict[str, str]) -> bytes:
    """The same archive with nothing in it that depends on when it was written."""
    stamp = written_on(meta).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = _MODIFIED.sub(rb"\g<1>" + stamp, data)
            info = zipfile.ZipInfo(name, date_time=_ZIP_TIME)
            new.writestr(info, data, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    return out.getvalue()
