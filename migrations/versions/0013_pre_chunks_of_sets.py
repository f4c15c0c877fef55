"""Chunks go with their set by a trigger, and no foreign key looks at each chunk that is loaded."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

SQL = """
alter table chunk drop constraint chunk_chunk_set_id_fkey;

create function drop_chunks() returns trigger language plpgsql as $$
begin
    delete from chunk using gone_set where chunk.chunk_set_id = gone_set.id;
    return null;
end $$;
create trigger drop_chunks after delete on chunk_set
    referencing old table as gone_set for each statement execute function drop_chunks();
"""


def upgrade() -> None:
    op.execute(SQL)
