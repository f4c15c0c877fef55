"""Serving: API keys, query log, feedback, uploads, and the row-level security of readers."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = """
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
    last_used_at timestamptz
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

-- The last line of tenancy: what search reads shows role rag_reader, which owns nothing, the rows
-- of one namespace only. The owner is exempt: row security forbids COPY, and ingest needs it. A
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
            ('document', 'collection_id in (select id from collection)'),
            ('document_version',
                'exists (select from document where document.id = document_version.document_id)'),
            ('parsed', 'namespace_id = (select reader_namespace())'),
            ('chunk_set', 'exists (select from parsed where parsed.id = chunk_set.parsed_id)'),
            ('chunk', 'exists (select from chunk_set where chunk_set.id = chunk.chunk_set_id)')
        ) as made (name, condition)
    loop
        execute format('alter table %I enable row level security', rule.name);
        execute format('grant select on %I to rag_reader', rule.name);
        execute format('create policy reader on %I for select to rag_reader using (%s)',
            rule.name, rule.condition);
    end loop;
exception when insufficient_privilege then
    raise notice 'role rag_reader can not be made: search goes without row-level security';
end $$;
"""


def upgrade() -> None:
    op.execute(SQL)
