-- name: documents_by_state
-- How many documents of a collection are in which state (as document_status says it).
select state, count(*) as documents from document_status
where collection_id = %(collection_id)s
group by state order by state

-- name: documents
-- Every document of a collection that is not deleted, by name, with what was made of it.
select uri, state, media_type, page_count, title, chunk_count, parse_seconds, code, reason,
    published_at
from document_status
where collection_id = %(collection_id)s and state <> 'deleted'
order by uri

-- name: generations
-- The generations of a collection, newest first, with their configuration and size.
select generation.id, generation.state, parser.name as parser, chunker.name as chunker,
    model.name as model, generation.created_at, generation.promoted_at, generation.retired_at,
    (select count(*) from publication
     where publication.generation_id = generation.id) as documents,
    (select coalesce(sum(chunk_count), 0)::bigint from publication
     where publication.generation_id = generation.id) as chunks
from generation
join fingerprint as parser on parser.id = generation.parser_id
join fingerprint as chunker on chunker.id = generation.chunker_id
join fingerprint as model on model.id = generation.model_id
where generation.collection_id = %(collection_id)s
order by generation.id desc

-- name: last_runs
-- The last runs of a collection: when they ended, and what each stage did.
select run_id, min(shard) as shard, max(ended_at) as ended_at, sum(seconds)::float8 as seconds,
    jsonb_object_agg(stage, counts) as stages
from stage_run
where collection_id = %(collection_id)s
group by run_id order by max(id) desc limit %(limit)s

-- name: stages_since
-- What the stages of a collection did after a given record.
select id, stage, shard, run_id, counts, seconds, ended_at from stage_run
where collection_id = %(collection_id)s and id > %(after)s
order by id

-- name: last_stage_record
-- The newest record of a collection's stages; 0 when there is none.
select coalesce(max(id), 0)::bigint as id from stage_run where collection_id = %(collection_id)s

-- name: progress
-- How far a collection's live documents are, stage by stage. Chunks are counted with their newest
-- cut, so the numbers are right while one configuration is in force.
with live as (
    select document.id, document.version_id, collection.namespace_id,
        collection.live_generation_id, document_version.content_hash,
        exists (select from dead_letter where dead_letter.document_id = document.id
            and dead_letter.resolved_at is null) as is_failed
    from document
    join collection on collection.id = document.collection_id
    left join document_version on document_version.id = document.version_id
    where document.collection_id = %(collection_id)s and document.deleted_at is null
), cut as (
    select live.id, live.namespace_id, newest.chunk_set_id, newest.chunk_count
    from live
    cross join lateral (
        select chunk_set.id as chunk_set_id, chunk_set.chunk_count
        from parsed join chunk_set on chunk_set.parsed_id = parsed.id
        where parsed.namespace_id = live.namespace_id
            and parsed.content_hash = live.content_hash
        order by chunk_set.id desc limit 1
    ) as newest
)
select
    (select count(*) from live) as documents,
    (select count(*) from live where version_id is not null or is_failed) as raw_documents,
    (select count(*) from live where is_failed or exists (
        select from parsed where parsed.namespace_id = live.namespace_id
            and parsed.content_hash = live.content_hash)) as parsed_documents,
    (select count(*) from live where is_failed) as failed,
    (select count(*) from cut) as cut_documents,
    (select coalesce(sum(chunk_count), 0)::bigint from cut) as chunks,
    (select count(*) from cut join chunk on chunk.chunk_set_id = cut.chunk_set_id
     where exists (select from embedding where embedding.namespace_id = cut.namespace_id
        and embedding.embedded_hash = chunk.embedded_hash)) as embedded,
    (select count(*) from live join publication
        on publication.generation_id = live.live_generation_id
        and publication.document_id = live.id
        and publication.version_id = live.version_id) as search_index

-- name: summaries
-- How collections stand, those of one namespace and of these names when they are given. What a
-- reader of these principals may not see is not counted.
select
    namespace.name as namespace, collection.name as collection, collection.id as collection_id,
    collection.live_generation_id,
    coalesce(states.live, 0) as live, coalesce(states.partial, 0) as partial,
    coalesce(states.pending, 0) as pending, coalesce(states.failed, 0) as failed,
    coalesce(states.oldest_pending_s, 0)::float8 as oldest_pending_s,
    coalesce(served.chunks, 0)::bigint as chunks, served.published_at,
    sources.listed_at, coalesce(sources.held, 0)::bigint as deletions_held,
    (select count(*) from hint join source on source.id = hint.source_id
     where source.collection_id = collection.id) as hints
from collection
join namespace on namespace.id = collection.namespace_id
left join lateral (
    select
        count(*) filter (where state = 'live') as live,
        count(*) filter (where state = 'partial') as partial,
        count(*) filter (where state = 'pending') as pending,
        count(*) filter (where state = 'failed') as failed,
        extract(epoch from now() - min(document_version.registered_at)
            filter (where state = 'pending')) as oldest_pending_s
    from document_status
    left join document_version on document_version.id = document_status.version_id
    where document_status.collection_id = collection.id
        and (%(principals)s::text[] is null or exists (
            select from document where document.id = document_status.document_id
            and (document.principals is null or document.principals && %(principals)s::text[])))
) as states on true
left join lateral (
    select sum(publication.chunk_count) as chunks, max(publication.published_at) as published_at
    from publication where publication.generation_id = collection.live_generation_id
        and (%(principals)s::text[] is null or exists (
            select from document where document.id = publication.document_id
            and (document.principals is null or document.principals && %(principals)s::text[])))
) as served on true
left join lateral (
    select min(source.listed_at) as listed_at,
        nullif(sum(source.breaker_documents), 0) as held
    from source where source.collection_id = collection.id
) as sources on true
where (%(namespace)s::text is null or namespace.name = %(namespace)s)
    and (%(collections)s::text[] is null or collection.name = any(%(collections)s))
order by 1, 2

-- name: failures_by_code
-- Open failures of these collections by code, most frequent first.
select namespace.name as namespace, collection.name as collection, dead_letter.stage,
    dead_letter.kind, dead_letter.code, count(*) as documents,
    max(dead_letter.last_failed_at) as last_failed_at, min(dead_letter.next_retry_at) as next_retry_at
from dead_letter
join document on document.id = dead_letter.document_id
join collection on collection.id = document.collection_id
join namespace on namespace.id = collection.namespace_id
where dead_letter.resolved_at is null and document.deleted_at is null
    and collection.id = any(%(collection_ids)s)
    and (%(principals)s::text[] is null or document.principals is null
        or document.principals && %(principals)s::text[])
group by 1, 2, 3, 4, 5
order by documents desc, 1, 2, 5

-- name: generations_of
-- The newest generations of these collections, with configuration and size.
select namespace.name as namespace, collection.name as collection, newest.*
from collection
join namespace on namespace.id = collection.namespace_id
cross join lateral (
    select generation.id, generation.state, generation.created_at, generation.promoted_at,
        parser.name as parser, chunker.name as chunker, model.name as model,
        (select count(*) from publication
         where publication.generation_id = generation.id
            and (%(principals)s::text[] is null or exists (
                select from document where document.id = publication.document_id
                and (document.principals is null or document.principals && %(principals)s::text[])))) as documents
    from generation
    join fingerprint as parser on parser.id = generation.parser_id
    join fingerprint as chunker on chunker.id = generation.chunker_id
    join fingerprint as model on model.id = generation.model_id
    where generation.collection_id = collection.id
    order by generation.id desc limit 3
) as newest
where collection.id = any(%(collection_ids)s)
order by 1, 2, newest.id desc

-- name: runs_of
-- The newest runs of these collections: when they ended and how long they took.
select namespace.name as namespace, collection.name as collection, stage_run.run_id,
    max(stage_run.ended_at) as ended_at, sum(stage_run.seconds)::float8 as seconds,
    coalesce(sum((stage_run.counts ->> 'failed')::int), 0)::bigint as failed
from stage_run
join collection on collection.id = stage_run.collection_id
join namespace on namespace.id = collection.namespace_id
where collection.id = any(%(collection_ids)s)
group by 1, 2, 3 order by max(stage_run.id) desc limit %(limit)s
