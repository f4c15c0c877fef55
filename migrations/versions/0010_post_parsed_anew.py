"""The key that allows one parse of a content goes, once no code counts on it."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

SQL = """
alter table parsed drop constraint parsed_namespace_id_parser_id_content_hash_key;
"""


def upgrade() -> None:
    op.execute(SQL)
