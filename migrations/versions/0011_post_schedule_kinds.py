"""A collection may have a schedule of each kind."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

SQL = """
alter table schedule drop constraint schedule_pkey;
drop index schedule_by_kind;
alter table schedule add primary key (collection_id, kind);
"""


def upgrade() -> None:
    op.execute(SQL)
