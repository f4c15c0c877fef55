"""Drift, freshness, schedules and alerts: what the schema gains for them."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

SQL = """
-- How current a collection should be; without a row the settings say.
create table freshness_objective (
    collection_id int primary key references collection on delete cascade,
    warn_s double precision not null check (warn_s > 0),
    fail_s double precision not null check (fail_s >= warn_s)
);

-- When a collection is run whatever the sensors see: every so many days, or by cron (UTC).
create table schedule (
    collection_id int primary key references collection on delete cascade,
    every_days double precision check (every_days > 0),
    cron text,
    last_run_at timestamptz, -- null: never, so it is due
    created_at timestamptz not null default now(),
    check (num_nonnulls(every_days, cron) = 1)
);

-- Runs that a check, a schedule or a new configuration asked for, and why: what cool-downs count.
create table reindex_request (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    shard int not null,
    cause text not null, -- equal causes, one reason to run: an incident, a due time, a recipe
    reason text not null,
    requested_at timestamptz not null default now()
);
create index reindex_request_by_cause on reindex_request (collection_id, shard, cause);

-- What documents or questions were like when a collection was last taken to be as it should be.
-- Vectors of two models are never compared: each has a reference of its own.
create table drift_reference (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    shard int not null,
    subject text not null check (subject in ('documents', 'queries')),
    model_id int not null references fingerprint,
    taken_at timestamptz not null default now(),
    unique (collection_id, shard, subject, model_id)
);

-- One document or question each; it goes when that goes.
create table drift_sample (
    reference_id bigint not null references drift_reference on delete cascade,
    document_id bigint references document on delete cascade,
    query_id uuid references query_log on delete cascade,
    vector halfvec not null,
    media_type text,
    language text,
    words int not null,
    check (num_nonnulls(document_id, query_id) = 1)
);
create index drift_sample_by_reference on drift_sample (reference_id);
create index drift_sample_by_document on drift_sample (document_id) where document_id is not null;
create index drift_sample_by_query on drift_sample (query_id) where query_id is not null;

-- How far Dagster's event log has been read; moved in the transaction that keeps what was read.
create table event_position (
    reader text primary key,
    position bigint not null
);

-- Something that is wrong from its first sign until it is well again. `key` names what it is about.
create table incident (
    id bigint generated always as identity primary key,
    key text not null,
    kind text not null,
    collection text, -- namespace/name, where it concerns one
    severity text not null check (severity in ('warn', 'error')),
    title text not null,
    detail text not null,
    signals int not null default 1, -- how often it was seen
    opened_at timestamptz not null,
    seen_at timestamptz not null,
    closed_at timestamptz
);
create unique index incident_open on incident (key) where closed_at is null;
create index incident_by_key on incident (key, id);

-- The outbox: a message about an incident to one route, kept until it is delivered or given up.
create table notice (
    id bigint generated always as identity primary key,
    incident_id bigint not null references incident on delete cascade,
    route text not null,
    event text not null check (event in ('opened', 'updated', 'recovered')),
    severity text not null,
    title text not null,
    detail text not null,
    signals int not null,
    made_at timestamptz not null,
    due_at timestamptz not null,
    attempts int not null default 0,
    error text,
    sent_at timestamptz,
    given_up_at timestamptz
);
create index notice_by_incident on notice (incident_id, route, id);
create index notice_waiting on notice (due_at) where sent_at is null and given_up_at is null;
"""


def upgrade() -> None:
    op.execute(SQL)
