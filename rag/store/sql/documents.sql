-- name: page
-- Documents of a collection with their state, a page at a time, by source and name. `stage` is the
-- one that failed, else the last one reached. A document with a list of principals is for those on
-- it; no principals given means a reader who may see all.
select
    document.id, document.uri, document.size_bytes, document.modified_at,
    status.state, status.title, status.media_type, status.page_count, status.chunk_count,
    status.published_at, status.kind, status.code, status.reason, status.attempts,
    status.published_version_id is not null as is_served,
    coalesce(status.failed_stage, case
        when status.published_version_id = document.version_id then 'search_index'
        when made.is_cut then 'chunks'
        when made.is_parsed then 'parsed_documents'
        else 'raw_documents'
    end) as stage
from document
join document_status as status on status.document_id = document.id
join collection on collection.id = document.collection_id
left join document_version on document_version.id = document.version_id
left join lateral (
    select true as is_parsed, bool_or(chunk_set.id is not null) as is_cut
    from parsed left join chunk_set on chunk_set.parsed_id = parsed.id
    where parsed.namespace_id = collection.namespace_id
        and parsed.content_hash = document_version.content_hash
    having count(*) > 0
) as made on true
where document.collection_id = %(collection_id)s and document.deleted_at is null
    and (%(principals)s::text[] is null or document.principals is null
        or document.principals && %(principals)s::text[])
    and (%(after)s::bigint is null or (document.source_id, document.uri)
        > (select last.source_id, last.uri from document as last where last.id = %(after)s))
    and (%(state)s::text is null or status.state = %(state)s)
    and (%(words)s::text is null
        or position(lower(%(words)s) in lower(document.uri)) > 0
        or position(lower(%(words)s) in lower(status.title)) > 0)
order by document.source_id, document.uri
limit %(limit)s

-- name: collection_of
-- Where a document that is not deleted belongs, for those who may see it.
select namespace.name as namespace, collection.name as collection, document.uri
from document
join collection on collection.id = document.collection_id
join namespace on namespace.id = collection.namespace_id
where document.id = %(document_id)s and document.deleted_at is null
    and (%(principals)s::text[] is null or document.principals is null
        or document.principals && %(principals)s::text[])

-- name: passage
-- A served passage with the text around it, and where its bytes are.
select
    document.id as document_id, document.uri, chunk.ordinal, publication.chunk_count,
    publication.generation_id, chunk.headings, chunk.page_first, chunk.page_last,
    parsed.title, parsed.media_type, parsed.page_count,
    substr(parsed.text, greatest(chunk.start_char - %(margin)s, 0) + 1,
        least(chunk.start_char, %(margin)s)) as before,
    substr(parsed.text, chunk.start_char + 1, chunk.end_char - chunk.start_char) as passage,
    substr(parsed.text, chunk.end_char + 1, %(margin)s) as after,
    chunk.start_char > %(margin)s as is_cut_before,
    length(parsed.text) > chunk.end_char + %(margin)s as is_cut_after,
    source.uri as source_uri,
    document_version.content_hash, object.etag, object.object_version, object.size_bytes,
    object.modified_at
from document
join collection on collection.id = document.collection_id
join source on source.id = document.source_id
join publication on publication.generation_id = collection.live_generation_id
    and publication.document_id = document.id
join document_version on document_version.id = publication.version_id
cross join lateral (
    -- a rename or a touch made another object of the newest version
    select document.etag, document.object_version, document.size_bytes, document.modified_at
    where document.version_id = document_version.id
    union all
    select document_version.etag, document_version.object_version, document_version.size_bytes,
        document_version.modified_at
    where document.version_id <> document_version.id
) as object
join chunk on chunk.chunk_set_id = publication.chunk_set_id and chunk.ordinal = %(ordinal)s
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
where document.id = %(document_id)s and document.deleted_at is null
