"""Parsing: what the schema gains for it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

SQL = """
select 1;
"""


def upgrade() -> None:
    op.execute(SQL)
