"""Generations on approval, evaluation and the gate: what the schema gains for them."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

SQL = """
alter table collection
    -- a caught-up generation goes live by itself, or waits for the gate
    add column is_gated boolean not null default false,
    -- what the settings say otherwise for this collection: set by promotion and roll-back
    add column recipe jsonb not null default '{}';

alter table generation
    -- the settings it was built under, and the revision of the pipeline that asked for it
    add column recipe jsonb,
    add column revision text;

-- Questions whose answers or passages are known, for one collection. The digest names its content.
create table dataset (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    name text not null,
    -- made of the collection's own passages, and not by people who know what they look for
    is_synthetic boolean not null,
    digest bytea not null check (octet_length(digest) = 32),
    created_at timestamptz not null default now(),
    unique (collection_id, name)
);

create table dataset_item (
    id bigint generated always as identity primary key,
    dataset_id bigint not null references dataset on delete cascade,
    key text not null,
    question text not null,
    answer text,
    topic text,
    -- what should be found: documents by name, a passage's text where it is known, a grade
    relevant jsonb not null,
    metadata jsonb not null,
    -- the document a synthetic question quotes: an erasure takes the question with it
    document_id bigint references document on delete cascade,
    unique (dataset_id, key)
);
create index dataset_item_by_document on dataset_item (document_id) where document_id is not null;

-- One pass of a dataset over one generation. Its name ends in -XXXXXXXX and resumes it.
create table experiment (
    id bigint generated always as identity primary key,
    dataset_id bigint not null references dataset on delete cascade,
    generation_id bigint references generation on delete set null,
    name text not null unique,
    settings jsonb not null,
    digest bytea not null, -- the dataset's at the time
    created_at timestamptz not null default now(),
    finished_at timestamptz
);
create index experiment_by_dataset on experiment (dataset_id, id);

-- What one question found and what was answered. Hits name passages, they hold no text.
create table experiment_result (
    experiment_id bigint not null references experiment on delete cascade,
    item_id bigint not null references dataset_item on delete cascade,
    hits jsonb not null,
    document_ids bigint[] not null,
    answer text,
    error text,
    latency_ms real not null,
    done_at timestamptz not null default now(),
    primary key (experiment_id, item_id)
);
create index experiment_result_by_document on experiment_result using gin (document_ids);

-- A metric of one result; -1 with its reason when it failed.
create table score (
    experiment_id bigint not null,
    item_id bigint not null,
    metric text not null,
    value double precision not null,
    reason text,
    primary key (experiment_id, item_id, metric),
    foreign key (experiment_id, item_id)
        references experiment_result (experiment_id, item_id) on delete cascade
);

-- What the gate said of a candidate, and why.
create table gate_decision (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    candidate_id bigint not null references generation on delete cascade,
    live_id bigint,
    passed boolean not null,
    report jsonb not null,
    decided_at timestamptz not null default now()
);
create index gate_decision_by_candidate on gate_decision (candidate_id, id);

-- Answers in experiments may quote what they found: they go with the document, whoever removes it.
create function drop_results() returns trigger language plpgsql as $$
begin
    delete from experiment_result
    where document_ids && (select array_agg(id) from gone_document);
    return null;
end $$;
create trigger drop_results after delete on document
    referencing old table as gone_document for each statement execute function drop_results();
"""


def upgrade() -> None:
    op.execute(SQL)
