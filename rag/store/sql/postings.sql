-- name: lexemes
-- What each word is indexed as: the stem that the language's dictionary makes of it, nothing for a
-- stop word. ASCII words and others may have dictionaries of their own (Russian has).
with dictionary as (
    select distinct on (maptokentype) maptokentype, mapdict::regdictionary as name
    from pg_ts_config_map
    where mapcfg = %(language)s::regconfig and maptokentype in (1, 2)
    order by maptokentype, mapseqno
), lexed as (
    select word, ts_lexize(dictionary.name, word) as forms
    from unnest(%(words)b::text[]) as word
    join dictionary
        on dictionary.maptokentype = case when octet_length(word) = length(word) then 1 else 2 end
)
select word, coalesce(forms[1], word) as lexeme from lexed
where forms is null or cardinality(forms) > 0

-- name: texts_to_publish
-- The texts of documents that are likely published next, in the order of their slots. Looked up as
-- `ready` does.
select document.id as document_id, chunk.chunk_set_id, chunk.context || chunk.text as text
from document
join document_version on document_version.id = document.version_id
cross join lateral (
    select id from parsed
    where parsed.namespace_id = %(namespace_id)s and parsed.parser_id = %(parser_id)s
        and parsed.content_hash = document_version.content_hash and parsed.superseded_at is null
    limit 1
) as parsed
cross join lateral (
    select id from chunk_set
    where chunk_set.parsed_id = parsed.id and chunk_set.chunker_id = %(chunker_id)s
    limit 1
) as chunk_set
join chunk on chunk.chunk_set_id = chunk_set.id
where document.id = any(%(ids)s) and document.deleted_at is null
order by document.id, chunk.ordinal

-- name: ready_sets
-- The documents about to be published that have passages.
select document_id, chunk_set_id from ready where chunk_count > 0

-- name: ready_texts
-- The texts of the documents about to be published, in the order of their slots.
select ready.document_id, ready.chunk_set_id, chunk.context || chunk.text as text
from ready join chunk on chunk.chunk_set_id = ready.chunk_set_id
order by ready.document_id, chunk.ordinal

-- name: create_segment
-- A segment for the rows of one publish.
insert into segment (generation_id, shard, slots, rows, words)
values (%(generation_id)s, %(shard)s, %(rows)s, %(rows)s, %(words)s) returning id

-- name: copy_postings
-- Load a segment's postings in one stream.
copy posting (segment_id, lexeme, entries) from stdin (format binary)

-- name: place_ready
-- Where each document's rows are in the postings.
update ready set segment_id = %(segment_id)s, first_slot = item.first_slot, words = item.words
from unnest(%(documents)s::bigint[], %(first_slots)s::int[], %(words)s::bigint[])
    as item (document_id, first_slot, words)
where item.document_id = ready.document_id

-- name: segments_of_shard
-- The segments of one writer, the smallest first.
select id, slots, rows from segment
where generation_id = %(generation_id)s and shard = %(shard)s
order by rows, id

-- name: segments_with_dead
-- The segments of a shard that hold words of rows that left search.
select segment.id
from segment join generation on generation.id = segment.generation_id
where generation.collection_id = %(collection_id)s and segment.shard = %(shard)s
    and not isempty(segment.dead)
order by 1

-- name: lock_segments
-- The segments about to be merged, locked in order.
select id, generation_id, shard, slots from segment where id = any(%(segments)s)
order by id for update

-- name: publications_of_segments
-- Where live documents are in these segments, and in the one made of them.
select segment_id, first_slot, chunk_count, words,
    sum(chunk_count) over (order by segment_id, first_slot) - chunk_count as new_slot
from publication where segment_id = any(%(segments)s)

-- name: postings_of_segments
-- All postings of these segments, in the order of the one made of them.
select segment_id, lexeme, entries from posting where segment_id = any(%(segments)s)
order by lexeme collate "C", segment_id

-- name: move_publications
-- Documents' new places after a merge.
update publication set segment_id = %(segment_id)s, first_slot = moved.new_slot
from (
    select generation_id, document_id,
        sum(chunk_count) over (order by segment_id, first_slot) - chunk_count as new_slot
    from publication where segment_id = any(%(segments)s)
) as moved
where publication.generation_id = moved.generation_id
    and publication.document_id = moved.document_id

-- name: drop_segments
-- Segments whose live rows are elsewhere now, with their postings.
delete from segment where id = any(%(segments)s)
