-- name: served_documents
-- Searchable documents of a collection by address, a page at a time. A document with a list of
-- principals is for those on it; no principals given means a reader who may see all.
select document.id as document_id, document.uri, parsed.title, parsed.media_type,
    parsed.page_count, parsed.word_count, publication.chunk_count, publication.published_at
from collection
join namespace on namespace.id = collection.namespace_id
join publication on publication.generation_id = collection.live_generation_id
join document on document.id = publication.document_id and document.deleted_at is null
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
where namespace.name = %(namespace)s and collection.name = %(collection)s
    and (%(principals)s::text[] is null or document.principals is null
        or document.principals && %(principals)s::text[])
    and (%(after)s::text is null or document.uri > %(after)s)
    and (%(words)s::text is null
        or position(lower(%(words)s) in lower(document.uri)) > 0
        or position(lower(%(words)s) in lower(parsed.title)) > 0)
order by document.uri limit %(limit)s

-- name: served_text
-- A part of the text of a searchable document, by its address, file name or name without ending.
select document.id as document_id, document.uri, parsed.title, parsed.media_type,
    parsed.page_count, length(parsed.text) as characters, publication.published_at,
    document_version.modified_at, substr(parsed.text, %(start)s + 1, %(length)s) as text
from collection
join namespace on namespace.id = collection.namespace_id
join publication on publication.generation_id = collection.live_generation_id
join document on document.id = publication.document_id and document.deleted_at is null
join document_version on document_version.id = publication.version_id
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
cross join lateral (select regexp_replace(document.uri, '^.*/', '') as filename) as named
where namespace.name = %(namespace)s and collection.name = %(collection)s
    and (%(principals)s::text[] is null or document.principals is null
        or document.principals && %(principals)s::text[])
    and (document.uri = %(document)s or named.filename = %(document)s
        or regexp_replace(named.filename, '\.[^.]*$', '') = %(document)s)
order by document.uri = %(document)s desc, named.filename = %(document)s desc, document.uri
limit 1

-- name: is_collection
-- Whether there is such a collection.
select exists (
    select from collection join namespace on namespace.id = collection.namespace_id
    where namespace.name = %(namespace)s and collection.name = %(collection)s) as is_there
