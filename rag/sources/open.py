"""From a source's address to the source: what people type, and which adapter reads it."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Unpack

from rag.errors import ConfigurationError
from rag.model import SourceOptions
from rag.ports import Source
from rag.settings import Settings
from rag.sources.csv_file import SCHEME as CSV
from rag.sources.csv_file import CsvSource, path_of_csv, uri_of_csv
from rag.sources.folder import FolderSource, path_of, uri_of
from rag.sources.s3 import Address, S3Client, S3Source, s3_client
from rag.sources.selection import Selection, selected_rows

_TABLE = "postgresql-table"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(file):")
# a name that ends like this is one object, not a prefix; 'v1.2' is a prefix
_OBJECT_NAME = re.compile(r"[^/]+\.[A-Za-z][A-Za-z0-9]{1,4}")


def open_source(uri: str, settings: Settings, **options: Unpack[SourceOptions]) -> Source:
    """The source at `uri`, as `normalise_uri` gives it, less the objects that are not chosen;
    nothing is read yet. Rows of tables and CSV files are chosen by their names.

    Raises ConfigurationError: `unknown_source`, `bad_source`, `table_database_missing`."""
    scheme = _scheme(uri)
    selection = Selection.of(**options)
    if scheme == "s3":
        return S3Source(uri, _client_in_force(settings), selection)
    if scheme == "file":
        return FolderSource(uri, selection)
    if scheme == CSV:
        return selected_rows(CsvSource(uri), selection)
    if scheme == _TABLE:
        return selected_rows(_open_table(uri, settings), selection)
    raise _unknown(uri)


def normalise_uri(text: str) -> str:
    """The one address of what a person typed: `docs` and `file:///abs/docs` become
    `file:///abs/docs/`, `s3://bucket/prefix` becomes `s3://bucket/prefix/`.

    Links are not resolved and need not exist; a name with a file's suffix stays one object.
    Raises ConfigurationError: `unknown_source`, `bad_source`."""
    text = text.strip()
    scheme = _scheme(text)
    if scheme == "s3":
        return _normal_object_uri("s3" + text[2:])
    if scheme == "file":
        return _normal_path_uri(_typed_path(text))
    if scheme == CSV:
        return uri_of_csv(Path(os.path.normpath(path_of_csv(text))))
    if scheme == _TABLE:
        from rag.sources.table import TableAddress

        TableAddress.parse(text)
        return text
    if scheme:
        raise _unknown(text)
    if not text:
        raise ConfigurationError("The source is empty: name a folder or bucket.", code="bad_source")
    return _normal_path_uri(text)


def _normal_object_uri(uri: str) -> str:
    key = Address.parse(uri).key
    if not key:
        return uri.rstrip("/") + "/"
    name = key.rpartition("/")[2]
    return uri if not name or _OBJECT_NAME.fullmatch(name) else f"{uri}/"


def _typed_path(text: str) -> str:
    """The path of a typed `file:` address: `file:/a` and `file://localhost/a` are `/a`."""
    rest = text[len("file:") :]
    if rest.startswith("//"):
        rest = rest[2:].removeprefix("localhost")
    return f"{path_of(f'file://{rest}')}{'/' if rest.endswith('/') else ''}"


def _normal_path_uri(text: str) -> str:
    path = Path(os.path.normpath(Path(text).expanduser().absolute()))
    is_file = path.is_file() or (
        not path.is_dir() and not text.endswith("/") and bool(_OBJECT_NAME.fullmatch(path.name))
    )
    return uri_of(path) if is_file else f"file://{uri_of(path)[7:].rstrip('/')}/"


def _open_table(uri: str, settings: Settings) -> Source:
    from rag.sources.table import TableAddress, TableSource  # psycopg is for those who use it

    name = TableAddress.parse(uri).database
    variable = f"RAG_TABLE_{name.upper()}_URL" if name else "RAG_DATABASE_URL"
    own = settings.database_url
    url = os.environ.get(variable) if name else own and own.get_secret_value()
    if not url:
        raise ConfigurationError(
            f"{variable} is not set: set it to the URL of the database of {uri}.",
            code="table_database_missing",
        )
    return TableSource(uri, url)


def _scheme(text: str) -> str:
    found = _SCHEME.match(text)
    return (found[1] or found[2]).lower() if found else ""


def _unknown(uri: str) -> ConfigurationError:
    return ConfigurationError(
        f"'{uri}' is no source we can read: write s3://bucket/prefix/ or a folder's path.",
        code="unknown_source",
    )


def _client_in_force(settings: Settings) -> S3Client:
    endpoint = (
        settings.s3_endpoint_url
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
    )
    identity = tuple(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))
    return _shared_client(endpoint, settings.s3_region, identity)


@lru_cache(maxsize=8)
def _shared_client(
    endpoint: str | None,
    region: str,
    identity: tuple[str | None, ...],  # noqa: ARG001 - only tells clients apart
) -> S3Client:
    """One client, with its connections, for every source that signs in alike."""
    return s3_client(endpoint, region)
