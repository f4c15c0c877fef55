-- name: retire_abandoned
-- Generations that nothing was published to for so long, where a complete one would have gone live by
-- itself: what a worker left that was started under an older configuration and ended late.
update generation set state = 'retired', retired_at = now()
from collection
where collection.id = generation.collection_id and not collection.is_gated
    and generation.state = 'building'
    and greatest(generation.created_at, (
        select max(published_at) from publication
        where publication.generation_id = generation.id
    )) < now() - make_interval(secs => %(retention_s)s)

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
-- Parsed text, with its chunks, that for so long no live document's newest version has had, or that
-- another took the place of, and nothing serves. What no document has any more was in use until the
-- document was deleted or had its next version; only what is unused is asked for that.
with unused as materialized (
    select parsed.id, parsed.content_hash, parsed.superseded_at
    from parsed
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
)
delete from parsed using unused
where parsed.id = unused.id
    and coalesce(unused.superseded_at, (
        select max(coalesce((
            select newer.registered_at from document_version as newer
            where newer.document_id = document_version.document_id
                and newer.id > document_version.id
            order by newer.id limit 1), document.deleted_at))
        from document_version
        join document on document.id = document_version.document_id
        join collection on collection.id = document.collection_id
        where document_version.content_hash = unused.content_hash
            and collection.namespace_id = %(namespace_id)s
    ), '-infinity') < now() - make_interval(secs => %(retention_s)s)

-- name: drop_unused_embeddings
-- Vectors of texts that no chunk of the namespace holds: chunks go when their text is swept, so these
-- have been unused as long.
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
select id, uri from document
where id in (select with_attachments(array[%(document_id)s::bigint]))

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

-- name: chunk_sets_to_erase
-- The chunk sets of contents that are these documents' alone.
select chunk_set.id
from chunk_set join parsed on parsed.id = chunk_set.parsed_id
where parsed.namespace_id = %(namespace_id)s and parsed.content_hash = any(%(contents)s)

-- name: texts_to_erase
-- The texts of these chunk sets that no other one of the namespace holds.
select distinct chunk.embedded_hash
from chunk
where chunk.chunk_set_id = any(%(chunk_sets)s)
    and not exists (
        select from chunk as other
        join chunk_set on chunk_set.id = other.chunk_set_id
        join parsed on parsed.id = chunk_set.parsed_id
        where other.embedded_hash = chunk.embedded_hash
            and other.chunk_set_id <> all(%(chunk_sets)s)
            and parsed.namespace_id = %(namespace_id)s)

-- name: segments_to_erase
-- The segments of the postings that hold words of these documents, or of what left search before.
select segment_id as id from publication
where document_id = any(%(document_ids)s) and segment_id is not null
union
select segment.id
from segment join generation on generation.id = segment.generation_id
where generation.collection_id = %(collection_id)s and segment.shard = %(shard)s
    and not isempty(segment.dead)

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
-- What notifications said of them.
delete from hint using source
where source.id = hint.source_id and source.collection_id = %(collection_id)s
    and hint.uri = any(%(uris)s)

-- name: erase_access_lists
-- Who may see them.
delete from access_list using source
where source.id = access_list.source_id and source.collection_id = %(collection_id)s
    and access_list.uri = any(%(uris)s)

-- name: erase_uploads
-- Under which names they were uploaded; an upload request of which nothing else is left goes, too.
with gone as (
    delete from upload_file using upload_job
    where upload_job.id = upload_file.job_id and upload_job.collection_id = %(collection_id)s
        and upload_file.uri = any(%(uris)s)
    returning upload_file.job_id
)
delete from upload_job
where id in (select job_id from gone)
    and not exists (
        select from upload_file
        where upload_file.job_id = upload_job.id and upload_file.uri <> all(%(uris)s))

-- name: record_erasure
-- The receipt, and the name's hash that keeps the document out.
insert into erasure (collection_id, uri_hash, receipt)
values (%(collection_id)s, sha256(convert_to(%(uri)s, 'UTF8')), %(receipt)s)
on conflict (collection_id, uri_hash) do update
    set receipt = excluded.receipt, erased_at = now()

-- name: traces
-- Proof by query: what there is of documents, of all that was attached to them, and of the contents,
-- chunk sets and texts that are theirs alone. Asked before and after an erasure.
select
    (select count(*) from document
     where collection_id = %(collection_id)s and uri = any(%(uris)s)
        or id = any(%(document_ids)s)) as documents,
    (select count(*) from document_version where document_id = any(%(document_ids)s)) as versions,
    (select count(*) from parsed
     where namespace_id = %(namespace_id)s and content_hash = any(%(contents)s)) as parsed,
    (select count(*) from chunk where chunk_set_id = any(%(chunk_sets)s)) as chunks,
    (select count(*) from embedding
     where namespace_id = %(namespace_id)s and embedded_hash = any(%(texts)s)) as embeddings,
    (select count(*) from publication
     where document_id = any(%(document_ids)s)) as publications,
    (select count(*) from search_row where document_id = any(%(document_ids)s)) as search_rows,
    (select count(*) from segment where id = any(%(segments)s)) as posting_segments,
    (select count(*) from dead_letter
     where document_id = any(%(document_ids)s)) as dead_letters,
    (select count(*) from hint join source on source.id = hint.source_id
     where source.collection_id = %(collection_id)s and hint.uri = any(%(uris)s)) as hints,
    (select count(*) from access_list join source on source.id = access_list.source_id
     where source.collection_id = %(collection_id)s
        and access_list.uri = any(%(uris)s)) as access_lists,
    (select count(*) from upload_file join upload_job on upload_job.id = upload_file.job_id
     where upload_job.collection_id = %(collection_id)s
        and upload_file.uri = any(%(uris)s)) as upload_files,
    (select count(*) from answer_log join query_log on query_log.id = answer_log.query_id
     where query_log.collection_id = %(collection_id)s and exists (
        select from jsonb_array_elements(query_log.hits) as hit
        where (hit ->> 'document_id')::bigint = any(%(document_ids)s))) as answers,
    (select count(*) from experiment_result
     where document_ids && %(document_ids)s::bigint[]) as evaluated_answers,
    (select count(*) from dataset_item
     where document_id = any(%(document_ids)s)) as synthetic_questions,
    (select count(*) from drift_sample
     where document_id = any(%(document_ids)s)) as drift_samples

-- name: lineage
-- The chain behind the served chunks of one document.
select chunk_lineage.*, generation.state = 'live' as is_live
from chunk_lineage join generation on generation.id = chunk_lineage.generation_id
where namespace = %(namespace)s and collection = %(collection)s and uri = %(uri)s
    and (%(ordinal)s::int is null or ordinal = %(ordinal)s)
order by generation_id desc, ordinal

-- name: lineage_examples
-- The chain behind the first chunk of each of these documents in one generation.
select namespace, collection, uri, ordinal, version_id, content_hash, parser, chunker,
    registered_by_run, parsed_by_run, cut_by_run, published_by_run
from chunk_lineage
where generation_id = %(generation_id)s and document_id = any(%(document_ids)s) and ordinal = 0
order by document_id
