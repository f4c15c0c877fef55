-- name: drop_retired_generations
-- Generations retired longer than the retention, less each collection's last one (roll-back).
delete from generation
where state = 'retired' and retired_at < now() - make_interval(secs => %(retention_s)s)
    and id <> (
        select newest.id from generation as newest
        where newest.collection_id = generation.collection_id and newest.state = 'retired'
        order by newest.retired_at desc, newest.promoted_at desc nulls last limit 1)
returning id

-- name: drop_rows_of_generations
-- The search rows of dropped generations (partitions carry no foreign key).
delete from search_row where generation_id = any(%(generations)s)

-- name: drop_unused_parsed
-- Parsed text, with its chunks, that no live document's newest version has, or that another took
-- the place of, and nothing serves.
delete from parsed
where parsed.namespace_id = %(namespace_id)s
    and parsed.parsed_at < now() - make_interval(secs => %(retention_s)s)
    and (parsed.superseded_at is not null or not exists (
        select from document_version
        join document on document.id = document_version.document_id
        join collection on collection.id = document.collection_id
        where document_version.content_hash = parsed.content_hash
            and collection.namespace_id = parsed.namespace_id
            and document.deleted_at is null and document.version_id = document_version.id))
    and not exists (
        select from publication join chunk_set on chunk_set.id = publication.chunk_set_id
        where chunk_set.parsed_id = parsed.id)

-- name: drop_unused_embeddings
-- Vectors of texts that no chunk of the namespace holds.
delete from embedding
where embedding.namespace_id = %(namespace_id)s
    and embedding.created_at < now() - make_interval(secs => %(retention_s)s)
    and not exists (
        select from chunk
        join chunk_set on chunk_set.id = chunk.chunk_set_id
        join parsed on parsed.id = chunk_set.parsed_id
        where chunk.embedded_hash = embedding.embedded_hash
            and parsed.namespace_id = embedding.namespace_id)

-- name: drop_old_queries
-- Questions of long ago that nobody gave feedback on, with their answers.
delete from query_log where id in (
    select old.id from query_log as old
    where old.asked_at < now() - make_interval(secs => %(retention_s)s)
        and not exists (select from feedback where feedback.query_id = old.id)
    limit %(limit)s)

-- name: namespaces
-- Every namespace, to be swept one by one.
select id, name from namespace order by id

-- name: document_to_erase
-- One document by name, whatever its state.
select document.id, document.shard
from document join collection on collection.id = document.collection_id
where document.collection_id = %(collection_id)s and document.uri = %(uri)s

-- name: lock_shard_of
-- The lock of the writers of the document's shard, as manifest.lock_shard.
select pg_advisory_xact_lock(collection_id, shard) from document where id = %(document_id)s

-- name: documents_to_erase
-- The document and all that is attached to it.
select with_attachments(array[%(document_id)s::bigint]) as id

-- name: content_to_erase
-- Contents of these documents' versions, and in how many others of the namespace each is.
select document_version.content_hash, (
    select count(distinct other.document_id) from document_version as other
    join document on document.id = other.document_id
    join collection on collection.id = document.collection_id
    where other.content_hash = document_version.content_hash
        and other.document_id <> all(%(document_ids)s)
        and collection.namespace_id = %(namespace_id)s) as elsewhere
from document_version where document_version.document_id = any(%(document_ids)s)
group by document_version.content_hash

-- name: erase_search_rows
-- Out of every generation's search.
delete from search_row where document_id = any(%(document_ids)s)

-- name: erase_answers
-- Answers that may quote the document: those whose question found it.
delete from answer_log using query_log
where query_log.id = answer_log.query_id and query_log.collection_id = %(collection_id)s
    and exists (
        select from jsonb_array_elements(query_log.hits) as hit
        where (hit ->> 'document_id')::bigint = any(%(document_ids)s))

-- name: erase_document
-- Manifest row, versions, publications, leases and dead letters.
delete from document where id = any(%(document_ids)s)

-- name: erase_parsed
-- Text and chunks of contents that were these documents' alone.
delete from parsed
where namespace_id = %(namespace_id)s and content_hash = any(%(contents)s)

-- name: erase_hints
-- What notifications said of it.
delete from hint using source
where source.id = hint.source_id and source.collection_id = %(collection_id)s
    and hint.uri = %(uri)s

-- name: record_erasure
-- The receipt, and the name's hash that keeps the document out.
insert into erasure (collection_id, uri_hash, receipt)
values (%(collection_id)s, sha256(convert_to(%(uri)s, 'UTF8')), %(receipt)s)
on conflict (collection_id, uri_hash) do update
    set receipt = excluded.receipt, erased_at = now()

-- name: traces
-- Proof by query: what is left of a document, of all that was attached to it, and of the contents
-- that were theirs alone.
select
    (select count(*) from document
     where collection_id = %(collection_id)s and uri = %(uri)s
        or id = any(%(document_ids)s)) as documents,
    (select count(*) from document_version where document_id = any(%(document_ids)s)) as versions,
    (select count(*) from publication
     where document_id = any(%(document_ids)s)) as publications,
    (select count(*) from search_row where document_id = any(%(document_ids)s)) as search_rows,
    (select count(*) from dead_letter
     where document_id = any(%(document_ids)s)) as dead_letters,
    (select count(*) from hint join source on source.id = hint.source_id
     where source.collection_id = %(collection_id)s and hint.uri = %(uri)s) as hints,
    (select count(*) from parsed
     where namespace_id = %(namespace_id)s and content_hash = any(%(contents)s)) as parsed

-- name: lineage
-- The chain behind the served chunks of one document.
select chunk_lineage.*, generation.state = 'live' as is_live
from chunk_lineage join generation on generation.id = chunk_lineage.generation_id
where namespace = %(namespace)s and collection = %(collection)s and uri = %(uri)s
    and (%(ordinal)s::int is null or ordinal = %(ordinal)s)
order by generation_id desc, ordinal
