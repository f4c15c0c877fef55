"""Brings a database to the schema of this code, forward only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).resolve().parent
# a checkout keeps migrations at its top; a wheel carries them inside the package
_SCRIPTS = next(
    (path for path in (_HERE / "migrations", _HERE.parents[1] / "migrations") if path.is_dir()),
    _HERE / "migrations",
)
# one migration at a time per server, whoever starts it ("rag" in ASCII)
_LOCK = 0x726167


def migrate(database_url: str) -> list[str]:
    """Apply every outstanding migration; returns their revisions in order (empty: up to date).

    Raises UnavailableError when the database can not be reached, ConfigurationError when it lacks
    the pgvector extension or was migrated by newer code."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from sqlalchemy import create_engine, exc, text

    config = _config()
    engine = create_engine(_sqlalchemy_url(database_url), connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            before = _revision(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            scripts = ScriptDirectory.from_config(config).iterate_revisions("head", before)
            return [script.revision for script in scripts][::-1]
    except exc.OperationalError as error:
        raise UnavailableError(
            f"The database does not answer ({_first_line(error)}): check RAG_DATABASE_URL and that "
            "the server runs.",
            code="database_unreachable",
        ) from error
    except CommandError as error:
        raise ConfigurationError(
            f"The database was migrated by newer code ({error}): install that version.",
            code="schema_too_new",
        ) from error
    except exc.DBAPIError as error:
        raise ConfigurationError(
            f"The migration failed ({_first_line(error)}): the server needs the extension "
            "pgvector 0.8 or newer, and the role must be allowed to create it.",
            code="migration_failed",
        ) from error
    finally:
        engine.dispose()


def head_revision() -> str:
    """The newest revision this code knows, found without loading alembic."""
    names = sorted(path.name for path in (_SCRIPTS / "versions").glob("[0-9]*.py"))
    return names[-1].partition("_")[0]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def _sqlalchemy_url(database_url: str) -> str:
    return "postgresql+psycopg://" + database_url.split("://", 1)[1]


def _revision(connection: object) -> str:
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection)  # type: ignore[arg-type]
    return context.get_current_revision() or "base"


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0]
