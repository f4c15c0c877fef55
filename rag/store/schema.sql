-- The whole schema as it stands. It must equal the sum of migrations/versions (a test compares).
-- Words: docs/glossary.md. Every content-addressed key names the namespace: reuse never crosses
-- tenants.

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
    -- a caught-up generation goes live by itself, or waits for the gate
    is_gated boolean not null default false,
    -- what the settings say otherwise for this collection: set by promotion and roll-back
    recipe jsonb not null default '{}',
    unique (namespace_id, name)
);

create table source (
    id int generated always as identity primary key,
    collection_id int not null references collection on delete cascade,
    uri text not null,
    -- which of its objects are taken: includes, excludes (globs), max_bytes, since (a day); absent means any
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
    -- who may see it, from the object beside it; null means whoever may search the collection
    principals text[],
    -- the mail a document is attached to; no listing names it, and it goes with its mail
    parent_id bigint references document on delete cascade,
    -- the version whose attachments are registered
    unpacked_version_id bigint,
    unique (source_id, uri)
);
create index document_by_shard on document (collection_id, shard);
create index document_by_access on document (collection_id) where principals is not null;
create index document_by_parent on document (parent_id) where parent_id is not null;

-- These documents and all that is attached to them, at any depth.
create function with_attachments(ids bigint[]) returns setof bigint language sql stable as $$
    with recursive tree as (
        select id from document where id = any(ids)
        union
        select document.id from document join tree on document.parent_id = tree.id
    )
    select id from tree
$$;

-- Who may see a document, as the object beside it says (`<name>.acl.json`); `etag` is that object's.
create table access_list (
    source_id int not null references source on delete cascade,
    uri text not null,
    etag text not null,
    principals text[] not null,
    primary key (source_id, uri)
);

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
    -- when another parse was asked for: until that is published this one serves
    superseded_at timestamptz
);
create unique index parsed_by_content on parsed
    (namespace_id, parser_id, content_hash, coalesce(superseded_at, 'infinity'));
create index parsed_with_attachments on parsed (namespace_id, parser_id, content_hash)
    where metadata ? 'attachments';

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

-- Chunks come with their set, in one transaction, and go with it: no foreign key looks at each one.
create table chunk (
    chunk_set_id bigint not null,
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

create function drop_chunks() returns trigger language plpgsql as $$
begin
    delete from chunk using gone_set where chunk.chunk_set_id = gone_set.id;
    return null;
end $$;
create trigger drop_chunks after delete on chunk_set
    referencing old table as gone_set for each statement execute function drop_chunks();

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
    -- the partition its search rows live in: 0 is the shared one, else the generation's own
    home bigint not null default 0,
    -- the settings it was built under, and the revision of the pipeline that asked for it
    recipe jsonb,
    revision text,
    unique (id, collection_id)
);
create unique index generation_live on generation (collection_id) where state = 'live';
create unique index generation_in_use on generation (collection_id, parser_id, chunker_id, model_id)
    where state <> 'retired';
-- the live pointer can only name a generation of its own collection
alter table collection add foreign key (live_generation_id, id)
    references generation (id, collection_id) deferrable;

-- What lexical search reads: the slots that one publish gave out to its rows, in the order of its
-- documents. A document that is replaced or removed leaves dead slots behind until segments merge.
create table segment (
    id bigint generated always as identity primary key,
    generation_id bigint not null references generation on delete cascade,
    shard int not null,
    slots int not null,
    rows int not null, -- live ones
    words bigint not null, -- in live rows
    dead int4multirange not null default '{}'
);
create index segment_by_generation on segment (generation_id, shard);

-- Which version of a document a generation serves: the row that compare-and-set guards.
create table publication (
    generation_id bigint not null references generation on delete cascade,
    document_id bigint not null references document on delete cascade,
    version_id bigint not null references document_version on delete cascade,
    chunk_set_id bigint not null references chunk_set,
    chunk_count int not null,
    published_at timestamptz not null default now(),
    run_id text,
    -- where its rows are in the postings: slot = first_slot + ordinal; words are those indexed
    segment_id bigint references segment,
    first_slot int,
    words bigint,
    primary key (generation_id, document_id)
);
create index publication_by_chunk_set on publication (chunk_set_id);
create index publication_by_slot on publication (segment_id, first_slot);

-- Which rows of a segment hold a lexeme: records of 8 bytes (rag/ranking.py, ENTRY).
create table posting (
    segment_id bigint not null,
    lexeme text collate "C" not null,
    entries bytea not null,
    primary key (segment_id, lexeme)
);
alter table posting alter column entries set storage external;

-- Dead slots are made here, whoever replaces or removes a publication: no statement can forget it.
create function bury_slots() returns trigger language plpgsql as $$
begin
    update segment set
        dead = segment.dead + gone.slots, rows = segment.rows - gone.rows,
        words = segment.words - gone.words
    from (
        select segment_id, sum(chunk_count) as rows, sum(words) as words,
            range_agg(int4range(first_slot, first_slot + chunk_count)) as slots
        from gone_publication where segment_id is not null group by segment_id
    ) as gone
    where segment.id = gone.segment_id;
    return null;
end $$;
create trigger bury_replaced after update on publication
    referencing old table as gone_publication for each statement execute function bury_slots();
create trigger bury_removed after delete on publication
    referencing old table as gone_publication for each statement execute function bury_slots();

create function drop_postings() returns trigger language plpgsql as $$
begin
    delete from posting using gone_segment where posting.segment_id = gone_segment.id;
    return null;
end $$;
create trigger drop_postings after delete on segment
    referencing old table as gone_segment for each statement execute function drop_postings();

-- What dense search reads. Small generations share a partition and are searched exactly; a large one
-- has a partition of its own with an index of its own (rag/store/partitions.py).
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
    stage text not null check (stage in ('fetch', 'parse', 'unpack', 'chunk', 'embed')),
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
    and parsed.superseded_at is null
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

-- Who may ask and write over HTTP. Only the hash of a key is kept; `prefix` is what people see of
-- it. Without a namespace the key is an operator's: all namespaces, and the metrics.
create table api_key (
    id int generated always as identity primary key,
    prefix text not null unique,
    key_hash bytea not null check (octet_length(key_hash) = 32),
    namespace_id int references namespace on delete cascade,
    -- null means every collection of the namespace
    collections text[] check (collections is null or namespace_id is not null),
    role text not null check (role in ('read', 'write', 'admin')),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    -- whose documents it sees beside those that are everyone's
    principals text[]
);

-- Every search over HTTP: who asked what under which filters, what was found and how fast. Hits
-- name passages, they hold no text.
create table query_log (
    id uuid primary key,
    namespace_id int not null references namespace on delete cascade,
    collection_id int not null references collection on delete cascade,
    generation_id bigint,
    principal text not null,
    query text not null,
    mode text not null,
    k int not null,
    filters jsonb not null,
    min_score double precision,
    hits jsonb not null,
    encode_ms real not null,
    search_ms real not null,
    asked_at timestamptz not null default now()
);
create index query_log_by_collection on query_log (collection_id, asked_at);
create index query_log_by_time on query_log (asked_at);

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

-- What people said of an answer: a thumb, a comment, and the passage that should have been found.
create table feedback (
    id bigint generated always as identity primary key,
    query_id uuid not null references query_log on delete cascade,
    principal text not null,
    thumb text not null check (thumb in ('up', 'down')),
    comment text,
    expected_document_id bigint references document on delete set null,
    expected_ordinal int,
    given_at timestamptz not null default now()
);
create index feedback_by_query on feedback (query_id);
create index feedback_by_time on feedback (given_at);

-- One upload request. Its state is read from its files' documents, never kept.
create table upload_job (
    id uuid primary key,
    collection_id int not null references collection on delete cascade,
    principal text not null,
    created_at timestamptz not null default now()
);

create table upload_file (
    job_id uuid not null references upload_job on delete cascade,
    position int not null,
    filename text not null,
    original_name text not null,
    uri text not null,
    size_bytes bigint not null,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    stored_at timestamptz,
    error_code text,
    error_reason text,
    primary key (job_id, position)
);
create index upload_file_by_uri on upload_file (uri);

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

-- How current a collection should be; without a row the settings say.
create table freshness_objective (
    collection_id int primary key references collection on delete cascade,
    warn_s double precision not null check (warn_s > 0),
    fail_s double precision not null check (fail_s >= warn_s)
);

-- When a collection is run or evaluated whatever the sensors see: every so many days, or by cron
-- (UTC).
create table schedule (
    collection_id int not null references collection on delete cascade,
    every_days double precision check (every_days > 0),
    cron text,
    last_run_at timestamptz, -- null: never, so it is due
    created_at timestamptz not null default now(),
    kind text not null default 'ingest' check (kind in ('ingest', 'evaluation')),
    primary key (collection_id, kind),
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

-- The namespace a reading transaction is limited to; an error when it was not said.
create function reader_namespace() returns int language plpgsql stable as $$
declare
    scope text := current_setting('rag.namespace', true);
begin
    if coalesce(scope, '') = '' then
        raise insufficient_privilege using message = 'rag.namespace is not set';
    end if;
    return (select id from namespace where name = scope);
end $$;

-- The last line of tenancy: what is read for a caller shows role rag_reader, which owns nothing, the
-- rows of one namespace only. The owner is exempt: row security forbids COPY, and ingest needs it. A
-- server that lets us make no role goes without; the service says so.
do $$
declare
    rule record;
begin
    if not exists (select from pg_roles where rolname = 'rag_reader') then
        begin
            create role rag_reader nologin;
        exception when duplicate_object or unique_violation then
            null; -- another database of this server was faster
        end;
    end if;
    if not pg_has_role(current_user, 'rag_reader', 'member') then
        execute format('grant rag_reader to %I', current_user);
    end if;
    for rule in
        select * from (values
            ('namespace', 'name = current_setting(''rag.namespace'', true)'),
            ('collection', 'namespace_id = (select reader_namespace())'),
            ('generation', 'collection_id in (select id from collection)'),
            -- an array is read once, a subquery is probed row by row: half the cost of a search
            ('search_row',
                'generation_id = any (array(select id from generation where state = ''live''))'),
            ('publication',
                'generation_id = any (array(select id from generation where state = ''live''))'),
            ('segment',
                'generation_id = any (array(select id from generation where state = ''live''))'),
            ('posting', 'exists (select from segment where segment.id = posting.segment_id)'),
            ('document', 'collection_id in (select id from collection)'),
            ('document_version',
                'exists (select from document where document.id = document_version.document_id)'),
            ('parsed', 'namespace_id = (select reader_namespace())'),
            ('chunk_set', 'exists (select from parsed where parsed.id = chunk_set.parsed_id)'),
            ('chunk', 'exists (select from chunk_set where chunk_set.id = chunk.chunk_set_id)'),
            ('source', 'collection_id in (select id from collection)'),
            ('hint', 'exists (select from source where source.id = hint.source_id)'),
            ('dead_letter',
                'exists (select from document where document.id = dead_letter.document_id)'),
            ('stage_run', 'collection_id in (select id from collection)'),
            ('upload_job', 'collection_id in (select id from collection)'),
            ('upload_file',
                'exists (select from upload_job where upload_job.id = upload_file.job_id)')
        ) as made (name, condition)
    loop
        execute format('alter table %I enable row level security', rule.name);
        execute format('grant select on %I to rag_reader', rule.name);
        execute format('create policy reader on %I for select to rag_reader using (%s)',
            rule.name, rule.condition);
    end loop;
    -- a view reads as its owner unless it is told otherwise
    execute 'alter view document_status set (security_invoker = true)';
    grant select on document_status to rag_reader;
exception when insufficient_privilege then
    raise notice 'role rag_reader can not be made: search goes without row-level security';
end $$;
