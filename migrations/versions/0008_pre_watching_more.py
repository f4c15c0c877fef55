"""What drift checks found last, and schedules of evaluations beside those of ingest."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

SQL = """
-- What the last look of each check of drift found: what is shown as metrics.
create table drift_finding (
    collection_id int not null references collection on delete cascade,
    shard int not null,
    check_name text not null,
    measure text not null,
    value double precision not null,
    warn double precision not null,
    fail double precision not null,
    p_value double precision not null,
    judged_at timestamptz not null default now(),
    primary key (collection_id, shard, check_name, measure)
);

-- A schedule of each kind: a collection may have both once 0011 has replaced the primary key.
alter table schedule add column kind text not null default 'ingest'
    check (kind in ('ingest', 'evaluation'));
create unique index schedule_by_kind on schedule (collection_id, kind);
"""


def upgrade() -> None:
    op.execute(SQL)
