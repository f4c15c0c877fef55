"""Whether a setting works: each check tries what the platform itself would do with it.

A caller's setting decides which server is contacted, so only servers that the operator named are:
those of the platform's own settings and of RAG_API_CHECK_HOSTS. No redirect is followed, nothing is
downloaded, weights are not loaded, and no error quotes what a server said or a secret.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from urllib.parse import urlsplit

from rag.api.service import Service
from rag.errors import ConfigurationError, PolicyError, RagError, UnavailableError
from rag.settings import Settings

_LONGEST_S = 10.0
_FEW_TOKENS = 16
_OLDEST_PGVECTOR = (0, 8)
_PORTS = {"http": 80, "https": 443}
_DATABASE_PARTS = frozenset({"host", "port", "user", "password", "dbname", "sslmode"})
# two readers of an address may disagree on the host, if there is more in it than this
_ADDRESS = re.compile(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", re.ASCII)
_USER_INFO = re.compile(r"://[^/\s@]*@")
# what libraries raise on a value that no one can use: a header with a line break, a damaged file
_UNUSABLE = (OSError, ValueError, TypeError, AttributeError, LookupError, RuntimeError, ImportError)


@contextmanager
def named_errors() -> Iterator[None]:
    """Whatever a library makes of a bad value leaves as ConfigurationError (`bad_setting`)."""
    try:
        yield
    except _UNUSABLE as error:
        raise ConfigurationError(
            f"The setting can not be used ({type(error).__name__}): correct it.",
            code="bad_setting",
        ) from error


def missing(name: str) -> ConfigurationError:
    """The error of a setting that can not be done without."""
    return ConfigurationError(
        f"Setting {name} (RAG_{name.upper()}) is not set: set it.", code="setting_missing"
    )


def speakable(error: RagError) -> str:
    """The error's message without the user and password of any address in it."""
    return _USER_INFO.sub("://", error.message)


def embedding_model(settings: Settings, service: Service) -> None:
    """The model lies on this machine and is of a form the engine reads."""
    from rag.embed.pretrained import describe_model, find_model

    folder = find_model(settings.embedding_model, may_download=False)
    describe_model(str(folder), service.settings.home / "models")


def reranker(settings: Settings, service: Service) -> None:
    """The model lies on this machine and is a cross-encoder."""
    import json

    from rag.embed.pretrained import describe_model, find_model

    if settings.reranker_model is None:
        raise missing("reranker_model")
    folder = find_model(settings.reranker_model, may_download=False)
    describe_model(str(folder), service.settings.home / "models")
    kinds = json.loads((folder / "config.json").read_bytes()).get("architectures") or []
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        raise ConfigurationError(
            f"'{settings.reranker_model}' is no cross-encoder: name a model that was trained to "
            "score pairs of texts.",
            code="bad_reranker",
        )


def language_model(settings: Settings, _: Service) -> None:
    """The model writes a few tokens in time."""
    from rag.llm import open_model
    from rag.ports import Message

    model = open_model(settings.model_copy(update={
        "llm_timeout_s": min(settings.llm_timeout_s, _LONGEST_S),
        "llm_max_tokens": _FEW_TOKENS, "llm_retries": 0, "llm_requests_per_minute": 0,
    }))  # fmt: skip
    if model is None:
        raise missing("llm_base_url")

    async def ask() -> None:
        try:
            async for _ in model.reply([Message("user", "Say yes.")]):
                pass
        finally:
            await model.close()

    asyncio.run(ask())


def langfuse(settings: Settings, _: Service) -> None:
    """The project answers to its keys."""
    from rag.evaluation.langfuse import open_langfuse

    with open_langfuse(settings) as project:
        project.check()


def database(settings: Settings, service: Service) -> None:
    """The server answers to user and password, and has a pgvector that is new enough."""
    from rag.store import server
    from rag.store.database import Connection, connect

    url = settings.database_url
    own: AbstractContextManager[Connection] = service.database.connection()
    is_own = url == service.settings.database_url
    try:
        with own if is_own or url is None else connect(_dsn(url.get_secret_value())) as conn:
            row = server.pgvector(conn)
    except ConfigurationError as error:
        if error.code != "database_refused":
            raise
        raise ConfigurationError(
            "Postgres refused the connection: check user, password and database.", code=error.code
        ) from error
    except UnavailableError as error:
        raise UnavailableError(
            "Postgres does not answer: check host and port, and that the server runs.",
            code=error.code,
        ) from error
    version = "" if row is None else row["installed_version"] or row["default_version"]
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST_PGVECTOR:
        raise ConfigurationError(
            f"The server has pgvector {version or 'not at all'}: install 0.8 or newer there.",
            code="no_pgvector",
        )


def check_reach(address: str | None, own: str | None, settings: Settings) -> None:
    """That the server a setting names is one the operator named. Raises PolicyError
    (`host_not_allowed`), or ConfigurationError (`bad_setting`) when it is no address."""
    named = {each.strip().lower() for each in settings.api_check_hosts.split(",")} - {""}
    if own is not None:
        with suppress(ConfigurationError):  # one that only the platform can read names no other
            named.add(_place(own))
    if address is not None and _place(address) not in named:
        raise PolicyError(
            "The setting names a server that this service may not contact: have its operator add "
            "host:port to RAG_API_CHECK_HOSTS.",
            code="host_not_allowed",
        )


def _place(address: str) -> str:
    """host:port of a web address, or of a database's."""
    if address.startswith(("postgresql:", "postgres:")):
        parts = _database_parts(address)
        return f"{parts.get('host', '')}:{parts.get('port') or 5432}".lower()
    parsed = urlsplit(address)
    if not _ADDRESS.fullmatch(address) or not parsed.hostname:
        raise _no_address()
    host = f"[{parsed.hostname}]" if ":" in parsed.hostname else parsed.hostname
    return f"{host}:{parsed.port or _PORTS[parsed.scheme]}".lower()


def _dsn(address: str) -> str:
    """The address for libpq, which reads no password file and no service file for it."""
    from psycopg.conninfo import make_conninfo

    parts = {**_database_parts(address), "passfile": os.devnull}
    return make_conninfo("", **parts)


def _database_parts(address: str) -> dict[str, str]:
    """The parts of a database's address. Others than these would name further servers or files."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = conninfo_to_dict(address)
    except psycopg.Error:
        raise _no_address() from None
    parts = {name: str(value) for name, value in given.items() if value is not None}
    if not parts.get("host") or not parts.keys() <= _DATABASE_PARTS:
        raise _no_address()
    return parts


def _no_address() -> ConfigurationError:
    return ConfigurationError(
        "The setting holds no address that can be checked: send http://HOST[:PORT]/…, "
        "https://HOST[:PORT]/… or postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE.",
        code="bad_setting",
    )
