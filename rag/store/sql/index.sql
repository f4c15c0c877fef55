-- name: find_generation
-- The generation of a collection under one configuration, unless it is retired.
select id, state from generation
where collection_id = %(collection_id)s and parser_id = %(parser_id)s
    and chunker_id = %(chunker_id)s and model_id = %(model_id)s and state <> 'retired'

-- name: create_generation
-- A generation of a new configuration; live at once when the collection has none yet.
insert into generation (collection_id, parser_id, chunker_id, model_id, state, promoted_at, run_id)
select
    collection.id, %(parser_id)s, %(chunker_id)s, %(model_id)s,
    case when collection.live_generation_id is null then 'live' else 'building' end,
    case when collection.live_generation_id is null then now() end, %(run_id)s
from collection where collection.id = %(collection_id)s
returning id, state

-- name: lock_collection
-- Serialise changes of a collection's generations.
select live_generation_id from collection where id = %(collection_id)s for update

-- name: point_to
-- Move the live pointer.
update collection set live_generation_id = %(generation_id)s where id = %(collection_id)s

-- name: retire_live
-- The generation that served until now, and older ones that never came to serve.
update generation set state = 'retired', retired_at = now()
where collection_id = %(collection_id)s and id <> %(generation_id)s
    and (state = 'live' or (state = 'building' and id < %(generation_id)s))

-- name: make_live
-- The generation that serves from now on.
update generation set state = 'live', promoted_at = now(), retired_at = null
where id = %(generation_id)s

-- name: documents_behind
-- Documents of the whole collection that a generation should serve and does not yet. One that
-- failed for good is not waited for; one whose object or engine is away for now is: a generation
-- that went live without it would take it out of search.
select count(*) as documents
from document
left join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = document.id
where document.collection_id = %(collection_id)s and document.deleted_at is null
    and document.version_id is not null
    and publication.version_id is distinct from document.version_id
    and not exists (
        select from dead_letter
        where dead_letter.document_id = document.id and dead_letter.resolved_at is null
            and dead_letter.version_id = document.version_id
            and dead_letter.kind in ('poison', 'policy', 'configuration'))

-- name: pending_shards
-- Shards with documents that are registered, not served by the live generation, neither barred nor
-- in a worker's hands: what a crash left behind, and retries that are due.
select
    namespace.name as namespace, collection.name as collection, collection.shards,
    document.shard, count(*) as documents, max(document.version_id) as newest_version,
    (coalesce(sum(dead_letter.attempts), 0) + coalesce(sum(claim.attempts), 0))::bigint as attempts
from document
join collection on collection.id = document.collection_id
join namespace on namespace.id = collection.namespace_id
left join publication on publication.generation_id = collection.live_generation_id
    and publication.document_id = document.id
left join dead_letter on dead_letter.document_id = document.id
    and dead_letter.version_id = document.version_id and dead_letter.resolved_at is null
left join lateral (
    select sum(lease.attempts) as attempts,
        bool_or(lease.beat_at >= now() - make_interval(secs => %(lease_s)s)
            and not pg_try_advisory_xact_lock(hashtextextended(lease.owner::text, 0))) as is_held
    from lease where lease.version_id = document.version_id
) as claim on true
where document.deleted_at is null and document.version_id is not null
    and (publication.version_id is distinct from document.version_id
        or dead_letter.stage = 'unpack')
    and (dead_letter.id is null or dead_letter.next_retry_at <= now())
    and claim.is_held is not true
group by 1, 2, 3, 4
order by 1, 2, 4

-- name: to_publish
-- Documents whose newest version is cut and not what the generation serves.
select cut_document.document_id
from cut_document
left join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = cut_document.document_id
where cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s
    and (publication.version_id, publication.chunk_set_id)
        is distinct from (cut_document.version_id, cut_document.chunk_set_id)
order by 1

-- name: lock_documents
-- Hold these documents still: no registration or deletion comes between reading and publishing.
select id from document where id = any(%(ids)s) order by id for no key update

-- name: ready
-- Of these documents, those that are whole (each chunk has its vector) and not older than what is
-- served: the compare of compare-and-set. Each thing is looked up by its whole key: of a new parser,
-- chunker, model or generation the planner knows no rows, and would go through all that are there.
create temporary table ready on commit drop as
select document.id as document_id, document.version_id, chunk_set.id as chunk_set_id,
    chunk_set.chunk_count, null::bigint as segment_id, null::int as first_slot, 0::bigint as words
from document
join document_version on document_version.id = document.version_id
cross join lateral (
    select id from parsed
    where parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
        and parsed.content_hash = document_version.content_hash and parsed.superseded_at is null
    limit 1
) as parsed
cross join lateral (
    select id, chunk_count from chunk_set
    where chunk_set.parsed_id = parsed.id and chunk_set.chunker_id = %(chunker_id)s
    limit 1
) as chunk_set
where document.id = any(%(ids)s) and document.deleted_at is null
    and (select true from embedded_set
        where embedded_set.chunk_set_id = chunk_set.id and embedded_set.model_id = %(model_id)s)
    and coalesce((
        select publication.version_id from publication
        where publication.generation_id = %(generation_id)s
            and publication.document_id = document.id
    ), 0) <= document.version_id

-- name: unpublish
-- The rows that are about to be replaced.
delete from search_row using ready
where search_row.generation_id = %(generation_id)s
    and search_row.document_id = ready.document_id

-- name: publish_rows
-- The search rows of whole documents, made by the server from chunks and vectors.
insert into search_row
    (home, generation_id, document_id, ordinal, chunk_set_id, vector)
select %(home)s, %(generation_id)s, ready.document_id, chunk.ordinal, chunk.chunk_set_id,
    embedding.vector
from ready
join chunk on chunk.chunk_set_id = ready.chunk_set_id
cross join lateral (
    select vector from embedding
    where embedding.namespace_id = %(namespace_id)s and embedding.model_id = %(model_id)s
        and embedding.embedded_hash = chunk.embedded_hash
    limit 1 -- one by one, by the whole key
) as embedding

-- name: publish_documents
-- Set what the generation serves, in the same transaction as the rows.
insert into publication
    (generation_id, document_id, version_id, chunk_set_id, chunk_count, run_id, segment_id,
    first_slot, words)
select %(generation_id)s, document_id, version_id, chunk_set_id, chunk_count, %(run_id)s,
    segment_id, first_slot, words
from ready
on conflict (generation_id, document_id) do update set
    version_id = excluded.version_id, chunk_set_id = excluded.chunk_set_id,
    chunk_count = excluded.chunk_count, published_at = now(), run_id = excluded.run_id,
    segment_id = excluded.segment_id, first_slot = excluded.first_slot, words = excluded.words
returning document_id, chunk_count

-- name: parity
-- What a generation serves, and what must never be: documents whose rows are not exactly those
-- of their publication, rows without a publication, deleted documents.
select
    count(distinct publication.document_id) as documents,
    coalesce(sum(publication.chunk_count), 0)::bigint as chunks_promised,
    coalesce(sum(served.rows), 0)::bigint as chunks_served,
    count(distinct publication.document_id) filter (
        where publication.chunk_count > 0
            and (served.rows, served.chunk_set_id)
                is distinct from (publication.chunk_count::bigint, publication.chunk_set_id)
    ) as broken_documents,
    coalesce(sum(served.rows) filter (where publication.document_id is null), 0)::bigint
        as orphan_rows,
    count(distinct publication.document_id) filter (where document.deleted_at is not null)
        as deleted_documents
from (select * from publication where generation_id = %(generation_id)s) as publication
full join (
    select document_id, chunk_set_id, count(*) as rows from search_row
    where generation_id = %(generation_id)s group by document_id, chunk_set_id
) as served on served.document_id = publication.document_id
left join document on document.id = publication.document_id
