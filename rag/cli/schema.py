"""Which schema a database has, and which one this code needs, without loading alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.store.database import Connection


def head() -> str:
    """The newest revision this code knows."""
    from rag.store import migration

    names = sorted(path.name for path in (migration._SCRIPTS / "versions").glob("[0-9]*.py"))
    return names[-1].partition("_")[0]


def revision(conn: Connection) -> str | None:
    """The revision the database is at; None when it was never migrated."""
    known = conn.execute("select to_regclass('alembic_version') as known").fetchone()
    if known is None or known["known"] is None:
        return None
    row = conn.execute("select version_num from alembic_version").fetchone()
    return None if row is None else str(row["version_num"])
