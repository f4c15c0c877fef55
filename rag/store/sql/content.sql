-- name: unparsed_ids
-- Per content, the ids of the newest versions of a shard without parsed text under this parser, not
-- barred by a dead letter: asked once, for a look per page would read the whole shard for each page.
select array_agg(document_version.id order by document_version.id) as version_ids
from document
join document_version on document_version.id = document.version_id
where document.collection_id = %(collection_id)s and document.shard = %(shard)s
    and document.deleted_at is null
    and not exists (
        select from parsed
        where parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
            and parsed.content_hash = document_version.content_hash
            and parsed.superseded_at is null)
    and not exists (
        select from dead_letter
        where dead_letter.version_id = document_version.id and dead_letter.stage = 'parse'
            and dead_letter.resolved_at is null
            and dead_letter.fingerprint = %(fingerprint)s
            and (dead_letter.next_retry_at is null or dead_letter.next_retry_at > now()))
group by document_version.content_hash
order by min(document_version.id)

-- name: unparsed
-- Of these versions, those that are still the newest, unparsed, and not barred by a dead letter; the
-- versions of a content come one after the other. Their objects as the last look had them: a rename
-- or a touch makes another object of the same version.
select document.id as document_id, document_version.id as version_id, document.uri,
    document_version.content_hash, document.etag, document.object_version, document.size_bytes,
    document.modified_at, source.uri as source_uri,
    document.parent_id
from document
join document_version on document_version.id = document.version_id
    and document_version.document_id = document.id
join source on source.id = document.source_id
where document.collection_id = %(collection_id)s and document.shard = %(shard)s
    and document.deleted_at is null
    and document_version.id = any(%(ids)s)
    and not exists (
        select from parsed
        where parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
            and parsed.content_hash = document_version.content_hash
            and parsed.superseded_at is null)
    and not exists (
        select from dead_letter
        where dead_letter.version_id = document_version.id and dead_letter.stage = 'parse'
            and dead_letter.resolved_at is null
            and dead_letter.fingerprint = %(fingerprint)s
            and (dead_letter.next_retry_at is null or dead_letter.next_retry_at > now()))
order by min(document_version.id) over (partition by document_version.content_hash),
    document_version.id

-- name: insert_parsed
-- Keep parsed texts by content, those that a document of the namespace has; a repeat changes
-- nothing.
insert into parsed (
    namespace_id, parser_id, content_hash, text, blocks, media_type, page_count, title, author,
    language, source_created_at, is_partial, warnings, suspicion, parser, metadata, word_count,
    seconds, run_id
)
select
    %(namespace_id)s, %(parser_id)s, item.content_hash, item.text, item.blocks, item.media_type,
    item.page_count, item.title, item.author, item.language, item.source_created_at,
    item.is_partial, array(select jsonb_array_elements_text(item.warnings)), item.suspicion,
    item.parser, item.metadata, item.word_count, item.seconds, %(run_id)s
from unnest(
    %(content_hash)b::bytea[], %(text)b::text[], %(blocks)b::jsonb[], %(media_type)b::text[],
    %(page_count)b::int[], %(title)b::text[], %(author)b::text[], %(language)b::text[],
    %(source_created_at)b::text[], %(is_partial)b::boolean[], %(warnings)b::jsonb[],
    %(suspicion)b::float8[], %(parser)b::text[], %(metadata)b::jsonb[], %(word_count)b::int[],
    %(seconds)b::float8[]
) as item (
    content_hash, text, blocks, media_type, page_count, title, author, language,
    source_created_at, is_partial, warnings, suspicion, parser, metadata, word_count, seconds
)
where exists (
    select from document_version
    join document on document.id = document_version.document_id
    join collection on collection.id = document.collection_id
    where document_version.content_hash = item.content_hash
        and collection.namespace_id = %(namespace_id)s)
on conflict do nothing

-- name: parsed_contents
-- Those of these contents that this parser has read for the collection's namespace: none of its
-- documents waits for their bytes, unless it is a mail whose attachments are not registered.
select parsed.content_hash
from parsed
where parsed.namespace_id = (select namespace_id from collection where id = %(collection_id)s)
    and parsed.parser_id = (select id from fingerprint where name = %(parser)s)
    and parsed.content_hash = any(%(hashes)b::bytea[]) and parsed.superseded_at is null
    and not (parsed.metadata ? 'attachments' and exists (
        select from document_version
        join document on document.id = document_version.document_id
            and document.version_id = document_version.id
        where document_version.content_hash = parsed.content_hash
            and document.deleted_at is null
            and document.unpacked_version_id is distinct from document.version_id))

-- name: resolve_parsed
-- Versions of a shard whose content is parsed now need neither letter nor lease any more.
with done as (
    select document.id as document_id, document_version.id as version_id
    from document
    join document_version on document_version.id = document.version_id
    join parsed on parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
        and parsed.content_hash = document_version.content_hash and parsed.superseded_at is null
    join dead_letter on dead_letter.document_id = document.id and dead_letter.stage = 'parse'
        and dead_letter.resolved_at is null
    where document.collection_id = %(collection_id)s and document.shard = %(shard)s
)
update dead_letter set resolved_at = now() from done
where dead_letter.document_id = done.document_id and dead_letter.stage = 'parse'
    and dead_letter.resolved_at is null

-- name: resolve_cut
-- Documents of a shard whose newest version is cut need no letter of the cutting any more.
update dead_letter set resolved_at = now()
from cut_document
where dead_letter.document_id = cut_document.document_id and dead_letter.stage = 'chunk'
    and dead_letter.resolved_at is null
    and cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s

-- name: resolve_embedded
-- Documents of a shard whose newest version has all its vectors need no letter of the embedding.
update dead_letter set resolved_at = now()
from cut_document
join embedded_set on embedded_set.chunk_set_id = cut_document.chunk_set_id
    and embedded_set.model_id = %(model_id)s
where dead_letter.document_id = cut_document.document_id and dead_letter.stage = 'embed'
    and dead_letter.resolved_at is null
    and cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s

-- name: documents_of_text
-- The documents of a shard with a passage whose text for the model has this hash.
select distinct cut_document.document_id, cut_document.version_id, cut_document.uri
from cut_document join chunk on chunk.chunk_set_id = cut_document.chunk_set_id
where chunk.embedded_hash = %(embedded_hash)s
    and cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s

-- name: documents_of_parsed
-- The documents of a shard whose newest version has this parsed text.
select document.id as document_id, document.version_id, document.uri
from parsed
join document_version on document_version.content_hash = parsed.content_hash
join document on document.version_id = document_version.id
where parsed.id = %(parsed_id)s and document.deleted_at is null
    and document.collection_id = %(collection_id)s and document.shard = %(shard)s

-- name: packed
-- Parsed mails of a shard whose newest version's attachments are not registered, or that had some
-- before; not those barred by a dead letter.
with parsed_mail as (
    select document.id
    from parsed
    join document_version on document_version.content_hash = parsed.content_hash
    join document on document.version_id = document_version.id
    where parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
        and parsed.metadata ? 'attachments'
        and document.collection_id = %(collection_id)s and document.shard = %(shard)s
        and document.deleted_at is null
        and document.unpacked_version_id is distinct from document.version_id
    union
    select document.id
    from document
    join document_version on document_version.id = document.version_id
    join parsed on parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
        and parsed.content_hash = document_version.content_hash
    where document.collection_id = %(collection_id)s and document.shard = %(shard)s
        and document.deleted_at is null
        and document.unpacked_version_id <> document.version_id
)
select document.id as document_id, document.version_id, document.uri, document.source_id,
    document_version.content_hash, document.etag, document.object_version, document.size_bytes,
    document.modified_at, source.uri as source_uri,
    document.parent_id
from parsed_mail
join document on document.id = parsed_mail.id
join document_version on document_version.id = document.version_id
join source on source.id = document.source_id
where not exists (
    select from dead_letter
    where dead_letter.version_id = document.version_id and dead_letter.stage = 'unpack'
        and dead_letter.resolved_at is null and dead_letter.fingerprint = %(fingerprint)s
        and (dead_letter.next_retry_at is null or dead_letter.next_retry_at > now()))
order by document.version_id

-- name: uncut_ids
-- Ids of parsed texts that a shard's documents use and that this chunker has not cut, nor failed
-- to cut: asked once.
select distinct parsed.id as parsed_id
from document
join document_version on document_version.id = document.version_id
join parsed on parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
    and parsed.content_hash = document_version.content_hash and parsed.superseded_at is null
where document.collection_id = %(collection_id)s and document.shard = %(shard)s
    and document.deleted_at is null
    and not exists (
        select from chunk_set
        where chunk_set.parsed_id = parsed.id and chunk_set.chunker_id = %(chunker_id)s)
    and not exists (
        select from dead_letter
        where dead_letter.version_id = document.version_id and dead_letter.stage = 'chunk'
            and dead_letter.resolved_at is null and dead_letter.fingerprint = %(fingerprint)s)
order by parsed.id

-- name: uncut
-- Of these parsed texts, those that this chunker still has not cut.
select parsed.id as parsed_id, parsed.text, parsed.blocks, parsed.media_type, parsed.page_count,
    parsed.title
from parsed
where parsed.id = any(%(ids)s)
    and not exists (
        select from chunk_set
        where chunk_set.parsed_id = parsed.id and chunk_set.chunker_id = %(chunker_id)s)
order by parsed.id

-- name: insert_chunk_sets
-- Heads of parsed texts' chunks; no row for those where another worker was first, or that are
-- gone.
insert into chunk_set (parsed_id, chunker_id, chunk_count, token_count, run_id)
select item.parsed_id, %(chunker_id)s, item.chunk_count, item.token_count, %(run_id)s
from unnest(%(parsed_ids)s::bigint[], %(chunk_counts)s::int[], %(token_counts)s::int[])
    as item (parsed_id, chunk_count, token_count)
join parsed on parsed.id = item.parsed_id
for key share of parsed
on conflict (parsed_id, chunker_id) do nothing
returning id, parsed_id

-- name: copy_chunks
-- Chunks in one binary stream.
copy chunk (
    chunk_set_id, ordinal, start_char, end_char, text, tokens, headings, page_first, page_last,
    context, embedded_hash
) from stdin (format binary)

-- name: sets_to_embed
-- Chunk sets of a shard's documents that are not marked as embedded under this model, nor barred
-- by a dead letter.
select distinct cut_document.chunk_set_id
from cut_document
left join embedded_set on embedded_set.chunk_set_id = cut_document.chunk_set_id
    and embedded_set.model_id = %(model_id)s
where cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s
    and embedded_set.chunk_set_id is null
    and not exists (
        select from dead_letter
        where dead_letter.version_id = cut_document.version_id and dead_letter.stage = 'embed'
            and dead_letter.resolved_at is null and dead_letter.fingerprint = %(fingerprint)s)
order by 1

-- name: texts_to_embed
-- The texts of these chunk sets without a vector, each once. The look for a vector stays one by its
-- whole key: of a new model the planner knows no rows, and would read all there are by now each time.
select distinct on (chunk.embedded_hash) chunk.embedded_hash, chunk.context || chunk.text as text
from chunk
where chunk.chunk_set_id = any(%(sets)s)
    and (select true from embedding
        where embedding.namespace_id = %(namespace_id)s and embedding.model_id = %(model_id)s
            and embedding.embedded_hash = chunk.embedded_hash) is null
order by chunk.embedded_hash

-- name: mark_embedded
-- Of these chunk sets, mark those that lack no vector.
insert into embedded_set (chunk_set_id, model_id)
select chunk_set.id, %(model_id)s
from chunk_set
where chunk_set.id = any(%(sets)s)
    and chunk_set.chunk_count = (
        select count((
            select true from embedding
            where embedding.namespace_id = %(namespace_id)s
                and embedding.model_id = %(model_id)s
                and embedding.embedded_hash = chunk.embedded_hash))
        from chunk where chunk.chunk_set_id = chunk_set.id)
on conflict do nothing

-- name: lock_namespace
-- One writer of content-addressed rows per namespace, for the length of a transaction.
select pg_advisory_xact_lock(-%(namespace_id)s)

-- name: lacking_embeddings
-- Which of these texts a chunk of these sets holds (erased ones are gone) without a vector.
select distinct chunk.embedded_hash
from chunk
where chunk.chunk_set_id = any(%(sets)s) and chunk.embedded_hash = any(%(hashes)b::bytea[])
    and (select true from embedding
        where embedding.namespace_id = %(namespace_id)s and embedding.model_id = %(model_id)s
            and embedding.embedded_hash = chunk.embedded_hash) is null

-- name: copy_embeddings
-- Vectors in one binary stream.
copy embedding (namespace_id, model_id, embedded_hash, vector) from stdin (format binary)

-- name: embedding_faults
-- What must never be: vectors of the wrong dimension or length (of those the shard's chunks use).
select
    count(*) as checked,
    count(*) filter (where vector_dims(embedding.vector) <> %(dimension)s) as wrong_dimension,
    count(*) filter (where abs(l2_norm(embedding.vector) - 1) > 0.01) as not_unit
from cut_document
join chunk on chunk.chunk_set_id = cut_document.chunk_set_id
join embedding on embedding.namespace_id = %(namespace_id)s
    and embedding.model_id = %(model_id)s and embedding.embedded_hash = chunk.embedded_hash
where cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s

-- name: stage_counts
-- How far the documents of a shard have come, for checks and status.
select
    count(*) as documents,
    count(*) filter (where document.version_id is not null) as registered,
    count(parsed.id) as parsed,
    count(*) filter (where parsed.is_partial) as partial,
    count(*) filter (where parsed.id is not null and parsed.word_count = 0) as empty,
    count(chunk_set.id) as cut,
    count(*) filter (where chunk_set.chunk_count = 0) as without_chunks,
    coalesce(sum(chunk_set.chunk_count), 0)::bigint as chunks,
    coalesce(sum(chunk_set.token_count), 0)::bigint as tokens,
    coalesce(sum(document.size_bytes), 0)::bigint as bytes
from document
left join document_version on document_version.id = document.version_id
left join parsed on parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
    and parsed.content_hash = document_version.content_hash and parsed.superseded_at is null
left join chunk_set on chunk_set.parsed_id = parsed.id and chunk_set.chunker_id = %(chunker_id)s
where document.collection_id = %(collection_id)s and document.shard = %(shard)s
    and document.deleted_at is null

-- name: chunk_bounds
-- Sizes of the shard's chunks, for the check that they fit the model.
select
    count(*) as chunks,
    coalesce(min(chunk.tokens), 0) as smallest,
    coalesce(max(chunk.tokens), 0) as largest,
    count(*) filter (where chunk.tokens > %(max_tokens)s) as too_large,
    count(*) filter (where btrim(chunk.text) = '') as blank
from cut_document
join chunk on chunk.chunk_set_id = cut_document.chunk_set_id
where cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s

-- name: chunk_preview
-- A few chunks of the shard, newest documents first, with what they were made of, how and by which
-- runs.
select namespace.name as namespace, collection.name as collection, shown.*,
    encode(document_version.content_hash, 'hex') as content_hash, parser.name as parser,
    chunker.name as chunker, document_version.run_id as registered_by_run,
    parsed.run_id as parsed_by_run, chunk_set.run_id as cut_by_run
from (
    select cut_document.uri, cut_document.version_id, cut_document.parsed_id,
        cut_document.chunk_set_id, chunk.ordinal, chunk.tokens, chunk.headings, chunk.page_first,
        left(chunk.text, 160) as text
    from cut_document
    join chunk on chunk.chunk_set_id = cut_document.chunk_set_id and chunk.ordinal < 2
    where cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
        and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s
    order by cut_document.version_id desc, chunk.ordinal
    limit %(limit)s
) as shown
join document_version on document_version.id = shown.version_id
join parsed on parsed.id = shown.parsed_id
join chunk_set on chunk_set.id = shown.chunk_set_id
join fingerprint as parser on parser.id = parsed.parser_id
join fingerprint as chunker on chunker.id = chunk_set.chunker_id
join collection on collection.id = %(collection_id)s
join namespace on namespace.id = collection.namespace_id
order by shown.version_id desc, shown.ordinal
