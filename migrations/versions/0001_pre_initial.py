"""The schema of the main job: manifest, content-addressed results, generations, ledger."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

SQL = """
create extension if not exists vector;

-- Configurations by their fingerprint: which parser, chunker or model made a row.
create table fingerprint (
    id int generated always as identity primary key,
    name text not null unique,
    kind text not null check (kind in ('parser', 'chunker', 'model')),
    config jsonb not null,
    created_at timestamptz not null default now()
);

create table namespace (
    id int generated always as identity primary key,
    name text not null unique,
    created_at timestamptz not null default now()
);

create table collection (
    id int generated always as identity primary key,
    namespace_id int not null references namespace,
    name text not null,
    shards int not null default 1 check (shards between 1 and 100),
    language regconfig not null default 'english',
    live_generation_id bigint,
    created_at timestamptz not null default now(),
    unique (namespace_id, name)
);

create table source (
    id int generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    uri text not null,
    -- which of its objects are taken: includes, excludes (globs), max_bytes; absent means any
    options jsonb not null default '{}',
    created_at timestamptz not null default now(),
    listed_at timestamptz,
    -- the mass-deletion breaker: when it tripped, for how many documents, and the operator's word
    breaker_since timestamptz,
    breaker_documents int,
    deletions_confirmed_at timestamptz,
    unique (collection_id, uri)
);

-- Objects that a store's notifications named: reasons to look, never truth. A run that looked
-- at the source after received_at clears them.
create table hint (
    source_id int not null references source on delete cascade,
    uri text not null,
    shard int not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (source_id, uri)
);

-- The manifest: one row per object a source has ever shown; etag, object_version, size_bytes and
-- modified_at are those of the last registered look, so a difference to a listing is work to do.
create table document (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    source_id int not null references source on delete cascade,
    shard int not null default 0,
    uri text not null,
    etag text,
    object_version text,
    size_bytes bigint,
    modified_at timestamptz,
    version_id bigint,
    missing_since timestamptz,
    deleted_at timestamptz,
    first_seen_at timestamptz not null default now(),
    -- when a look was last recorded: an older listing can not overrule it
    looked_at timestamptz not null default clock_timestamp(),
    unique (source_id, uri)
);
create index document_by_shard on document (collection_id, shard);

-- What a document's bytes were at one time. Ids grow, so the larger id of a document is the newer.
create table document_version (
    id bigint generated always as identity primary key,
    document_id bigint not null references document on delete cascade,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    etag text,
    object_version text,
    size_bytes bigint not null,
    modified_at timestamptz,
    registered_at timestamptz not null default now(),
    run_id text
);
create index document_version_by_document on document_version (document_id, id);
create index document_version_by_content on document_version (content_hash);
alter table document add foreign key (version_id) references document_version deferrable;

create table parsed (
    id bigint generated always as identity primary key,
    namespace_id int not null references namespace,
    parser_id int not null references fingerprint,
    content_hash bytea not null,
    text text not null,
    blocks jsonb not null,
    media_type text not null,
    page_count int,
    title text,
    author text,
    language text,
    source_created_at text,
    is_partial boolean not null,
    warnings text[] not null,
    suspicion real not null,
    parser text not null,
    metadata jsonb not null,
    word_count int not null,
    seconds real not null,
    parsed_at timestamptz not null default now(),
    run_id text,
    unique (namespace_id, parser_id, content_hash)
);

create table chunk_set (
    id bigint generated always as identity primary key,
    parsed_id bigint not null references parsed on delete cascade,
    chunker_id int not null references fingerprint,
    chunk_count int not null,
    token_count int not null,
    created_at timestamptz not null default now(),
    run_id text,
    unique (parsed_id, chunker_id)
);

create table chunk (
    chunk_set_id bigint not null references chunk_set on delete cascade,
    ordinal int not null,
    start_char int not null,
    end_char int not null,
    text text not null,
    tokens int not null,
    headings text[] not null,
    page_first int,
    page_last int,
    context text not null, -- put before text when embedded and indexed: title, headings, table head
    embedded_hash bytea not null,
    primary key (chunk_set_id, ordinal)
);
create index chunk_by_embedded_hash on chunk (embedded_hash);

create table embedding (
    namespace_id int not null,
    model_id int not null,
    embedded_hash bytea not null,
    vector halfvec not null,
    created_at timestamptz not null default now(),
    -- the hash first: it alone is selective, and the planner knows that without statistics
    primary key (embedded_hash, namespace_id, model_id)
);

-- Chunk sets whose every text has its vector under a model: what makes a document whole.
create table embedded_set (
    chunk_set_id bigint not null references chunk_set on delete cascade,
    model_id int not null references fingerprint,
    primary key (chunk_set_id, model_id)
);

-- One searchable build of a collection under one configuration.
create table generation (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    parser_id int not null references fingerprint,
    chunker_id int not null references fingerprint,
    model_id int not null references fingerprint,
    state text not null check (state in ('building', 'live', 'retired')),
    created_at timestamptz not null default now(),
    promoted_at timestamptz,
    retired_at timestamptz,
    run_id text,
    unique (id, collection_id)
);
create unique index generation_live on generation (collection_id) where state = 'live';
create unique index generation_in_use on generation (collection_id, parser_id, chunker_id, model_id)
    where state <> 'retired';
-- the live pointer can only name a generation of its own collection
alter table collection add foreign key (live_generation_id, id)
    references generation (id, collection_id) deferrable;

-- Which version of a document a generation serves: the row that compare-and-set guards.
create table publication (
    generation_id bigint not null references generation on delete cascade,
    document_id bigint not null references document on delete cascade,
    version_id bigint not null references document_version on delete cascade,
    chunk_set_id bigint not null references chunk_set,
    chunk_count int not null,
    published_at timestamptz not null default now(),
    run_id text,
    primary key (generation_id, document_id)
);
create index publication_by_chunk_set on publication (chunk_set_id);

-- What dense search reads. Small generations share a partition and are searched exactly; a large
-- one has a partition of its own with an index of its own (rag/store/partitions.py).
create table search_row (
    home bigint not null default 0,
    generation_id bigint not null,
    document_id bigint not null,
    ordinal int not null,
    chunk_set_id bigint not null,
    vector halfvec not null,
    -- the included column lets parity be counted from the index alone
    primary key (generation_id, document_id, ordinal, home) include (chunk_set_id)
) partition by list (home);
create table search_row_shared partition of search_row for values in (0);

-- A worker's claim on one version at one stage; attempts are counted before the work starts.
create table lease (
    version_id bigint not null references document_version on delete cascade,
    stage text not null check (stage in ('parse')),
    owner uuid,
    attempts int not null default 0,
    beat_at timestamptz,
    primary key (version_id, stage)
);

-- What could not be done, why, and when it is tried again (never, when next_retry_at is null).
create table dead_letter (
    id bigint generated always as identity primary key,
    document_id bigint not null references document on delete cascade,
    version_id bigint references document_version on delete cascade,
    stage text not null check (stage in ('fetch', 'parse', 'chunk', 'embed')),
    fingerprint text not null default '',
    kind text not null
        check (kind in ('poison', 'transient', 'configuration', 'quota', 'policy')),
    code text not null,
    reason text not null,
    attempts int not null,
    first_failed_at timestamptz not null default now(),
    last_failed_at timestamptz not null default now(),
    next_retry_at timestamptz,
    resolved_at timestamptz
);
create unique index dead_letter_open on dead_letter (document_id, stage) where resolved_at is null;

-- One row per stage and run: what was done and how long it took.
create table stage_run (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    shard int not null,
    stage text not null,
    run_id text not null,
    counts jsonb not null,
    seconds real not null,
    ended_at timestamptz not null default now()
);
create index stage_run_by_run on stage_run (run_id);

-- Documents erased on request: only the hash of the name stays, so that they never come back, and
-- the receipt of what was removed.
create table erasure (
    id bigint generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    uri_hash bytea not null check (octet_length(uri_hash) = 32),
    receipt jsonb not null,
    erased_at timestamptz not null default now(),
    unique (collection_id, uri_hash)
);

-- From any served chunk back to the bytes, the configurations and the runs that made it.
create view chunk_lineage as
select
    namespace.name as namespace, collection.name as collection, generation.id as generation_id,
    document.id as document_id, document.uri, chunk.ordinal, chunk.text,
    document_version.id as version_id, encode(document_version.content_hash, 'hex') as content_hash,
    document_version.etag, document_version.object_version, document_version.modified_at,
    document_version.run_id as registered_by_run, document_version.registered_at,
    parser.name as parser, parsed.run_id as parsed_by_run, parsed.parsed_at,
    chunker.name as chunker, chunk_set.run_id as cut_by_run,
    model.name as model, publication.run_id as published_by_run, publication.published_at
from publication
join generation on generation.id = publication.generation_id
join collection on collection.id = generation.collection_id
join namespace on namespace.id = collection.namespace_id
join document on document.id = publication.document_id
join document_version on document_version.id = publication.version_id
join chunk_set on chunk_set.id = publication.chunk_set_id
join chunk on chunk.chunk_set_id = chunk_set.id
join parsed on parsed.id = chunk_set.parsed_id
join fingerprint as parser on parser.id = generation.parser_id
join fingerprint as chunker on chunker.id = generation.chunker_id
join fingerprint as model on model.id = generation.model_id;

-- A live document's newest version with its parsed text and chunk set, one row per parser and
-- chunker that have treated it.
create view cut_document as
select
    document.id as document_id, document.collection_id, document.shard, document.uri,
    document.version_id, collection.namespace_id, parsed.id as parsed_id, parsed.parser_id,
    chunk_set.id as chunk_set_id, chunk_set.chunker_id, chunk_set.chunk_count,
    chunk_set.token_count
from document
join collection on collection.id = document.collection_id
join document_version on document_version.id = document.version_id
join parsed on parsed.namespace_id = collection.namespace_id
    and parsed.content_hash = document_version.content_hash
join chunk_set on chunk_set.parsed_id = parsed.id
where document.deleted_at is null;

-- A document's state as people ask for it: one row per document, with its newest open letter.
create view document_status as
select
    document.id as document_id,
    document.collection_id,
    namespace.name as namespace,
    collection.name as collection,
    document.shard,
    document.uri,
    document.version_id,
    publication.version_id as published_version_id,
    publication.chunk_count,
    publication.published_at,
    parsed.media_type,
    parsed.page_count,
    parsed.title,
    parsed.seconds as parse_seconds,
    letter.stage as failed_stage,
    letter.kind,
    letter.code,
    letter.reason,
    letter.attempts,
    case
        when document.deleted_at is not null then 'deleted'
        when letter.id is not null then 'failed'
        when publication.version_id = document.version_id and parsed.is_partial then 'partial'
        when publication.version_id = document.version_id then 'live'
        else 'pending'
    end as state
from document
join collection on collection.id = document.collection_id
join namespace on namespace.id = collection.namespace_id
left join lateral (
    select * from dead_letter
    where dead_letter.document_id = document.id and dead_letter.resolved_at is null
    order by dead_letter.last_failed_at desc, dead_letter.id desc limit 1
) as letter on true
left join publication
    on publication.document_id = document.id
    and publication.generation_id = collection.live_generation_id
left join chunk_set on chunk_set.id = publication.chunk_set_id
left join parsed on parsed.id = chunk_set.parsed_id;
"""


def upgrade() -> None:
    op.execute(SQL)
