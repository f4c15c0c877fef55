"""Answers: what the schema gains for it."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

SQL = """
-- What was answered to a logged query: the text as far as it went out, by whom it was written, what
-- it cites and cost. It may quote documents, so an erasure removes it.
create table answer_log (
    query_id uuid primary key references query_log on delete cascade,
    searched text not null,
    answer text not null,
    outcome text not null check (outcome in ('answered', 'unknown', 'cancelled', 'failed')),
    error_code text,
    cited int[] not null,
    dropped int not null,
    model text,
    prompt_tokens int not null,
    completion_tokens int not null,
    first_ms real,
    total_ms real not null,
    answered_at timestamptz not null default now()
);
"""


def upgrade() -> None:
    op.execute(SQL)
