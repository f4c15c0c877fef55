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
