-- name: scope
-- Where a collection's live generation is, whether any of its documents is for some only, and how
-- its index is to be read in this transaction.
select
    collection.id as collection_id,
    coalesce(%(generation)s::bigint, collection.live_generation_id) as generation_id,
    coalesce(generation.home, 0) as home,
    exists (
        select from document
        where document.collection_id = collection.id and document.principals is not null
    ) as has_access_lists,
    set_config('hnsw.ef_search', %(search_breadth)s, true),
    set_config('hnsw.iterative_scan', 'strict_order', true),
    set_config('jit', 'off', true)
from collection
join namespace on namespace.id = collection.namespace_id
left join generation
    on generation.id = coalesce(%(generation)s::bigint, collection.live_generation_id)
where namespace.name = %(namespace)s and collection.name = %(collection)s

-- name: segments
-- The segments of the live generation: what of them is live.
select
    segment.id, segment.slots, segment.rows, segment.words,
    array(select lower(span) from unnest(segment.dead) as span) as dead_from,
    array(select upper(span) from unnest(segment.dead) as span) as dead_to
from collection
join namespace on namespace.id = collection.namespace_id
join segment
    on segment.generation_id = coalesce(%(generation)s::bigint, collection.live_generation_id)
where namespace.name = %(namespace)s and collection.name = %(collection)s
order by segment.id

-- name: postings
-- The postings of a question's words in the live generation, each word as the collection's language
-- indexes it.
with scope as (
    select coalesce(%(generation)s::bigint, collection.live_generation_id) as generation_id,
        collection.language
    from collection join namespace on namespace.id = collection.namespace_id
    where namespace.name = %(namespace)s and collection.name = %(collection)s
), dictionary as (
    select distinct on (maptokentype) maptokentype, mapdict::regdictionary as name
    from scope join pg_ts_config_map on mapcfg = scope.language
    where maptokentype in (1, 2)
    order by maptokentype, mapseqno
), lexed as (
    select word, ts_lexize(dictionary.name, word) as forms
    from unnest(%(inflected)s::text[]) as word
    join dictionary
        on dictionary.maptokentype = case when octet_length(word) = length(word) then 1 else 2 end
), wanted as (
    select coalesce(forms[1], word) as lexeme from lexed
    where forms is null or cardinality(forms) > 0
    union
    select unnest(%(exact)s::text[])
)
select posting.lexeme, posting.segment_id, posting.entries
from posting
where posting.lexeme = any (array(select lexeme from wanted))
    and posting.segment_id = any (array(
        select segment.id from scope join segment on segment.generation_id = scope.generation_id))

-- name: permitted
-- Documents of the live generation that filters and access lists let through, by segment; none is
-- looked at when nothing restricts.
with scope as (
    select coalesce(%(generation)s::bigint, collection.live_generation_id) as generation_id,
        exists (
        select from document
        where document.collection_id = collection.id and document.principals is not null
    ) as has_access_lists
    from collection join namespace on namespace.id = collection.namespace_id
    where namespace.name = %(namespace)s and collection.name = %(collection)s
)
select
    publication.segment_id, sum(publication.chunk_count)::bigint as rows,
    array_agg(publication.document_id) as documents,
    array_agg(publication.first_slot) as first_slots,
    array_agg(publication.first_slot + publication.chunk_count) as end_slots
from scope
join publication on publication.generation_id = scope.generation_id
join document on document.id = publication.document_id
join document_version on document_version.id = publication.version_id
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
where (%(is_filtered)s or scope.has_access_lists)
    and publication.segment_id is not null
    and (%(sees_all)s or document.principals is null or document.principals && %(principals)s::text[])
    and (%(filenames)s::text[] is null
        or regexp_replace(document.uri, '^.*/', '') = any(%(filenames)s::text[]))
    and (%(name_patterns)s::text[] is null
        or document.uri ~ any(%(name_patterns)s::text[])
        or regexp_replace(document.uri, '^.*/', '') ~ any(%(name_patterns)s::text[]))
    and (%(media_types)s::text[] is null or parsed.media_type = any(%(media_types)s::text[]))
    and (%(languages)s::text[] is null or parsed.language = any(%(languages)s::text[]))
    and (%(modified_from)s::timestamptz is null
        or document_version.modified_at >= %(modified_from)s::timestamptz)
    and (%(modified_to)s::timestamptz is null
        or document_version.modified_at <= %(modified_to)s::timestamptz)
    and (%(metadata)s::jsonb is null or parsed.metadata @> %(metadata)s::jsonb)
    and not exists (
        select from unnest(%(range_keys)s::text[], %(range_lows)s::text[], %(range_highs)s::text[],
            %(ranges_are_numbers)s::bool[]) as range (key, low, high, is_number)
        where not coalesce(case
            when not is_number then parsed.metadata ->> key >= coalesce(low, '')
                and (high is null or parsed.metadata ->> key <= high)
            when parsed.metadata ->> key ~ '^-?[0-9]+([.][0-9]+)?$'
                then (parsed.metadata ->> key)::numeric >= coalesce(low, '-Infinity')::numeric
                and (parsed.metadata ->> key)::numeric <= coalesce(high, 'Infinity')::numeric
        end, false))
group by publication.segment_id

-- name: nearest
-- Rows by cosine similarity, through the partition's index where it has one, and the similarity of
-- the places that were found by words. The expression is the
-- index's own; home, dimension, restriction and order are put in by code (rag/store/lookup.py).
(select publication.segment_id, publication.first_slot + near.ordinal as slot, near.similarity,
    true as is_near
from (
    select search_row.document_id, search_row.ordinal,
        1 - (search_row.vector::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}))
            as similarity
    from search_row
    where search_row.home = {home} and search_row.generation_id = %(generation_id)s
        {restriction}
    order by (search_row.vector::halfvec({dimension}) <=> %(vector)s::halfvec({dimension})) {exact}
    limit %(depth)s
) as near
join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = near.document_id
order by near.similarity desc, near.document_id, near.ordinal)
union all
select place.segment_id, place.slot,
    1 - (search_row.vector::halfvec({dimension}) <=> %(vector)s::halfvec({dimension})), false
from unnest(%(segments)s::bigint[], %(slots)s::int[]) as place (segment_id, slot)
cross join lateral (
    select * from publication
    where publication.segment_id = place.segment_id and publication.first_slot <= place.slot
    order by publication.first_slot desc limit 1
) as publication
join search_row on search_row.home = {home}
    and search_row.generation_id = publication.generation_id
    and search_row.document_id = publication.document_id
    and search_row.ordinal = place.slot - publication.first_slot

-- name: passages
-- The best of the places found, at most some of one document, with their texts and sources; on
-- request with the text before and after.
with found as (
    select place.*, publication.generation_id, publication.document_id, publication.version_id,
        publication.chunk_set_id, publication.published_at,
        place.slot - publication.first_slot as ordinal
    from unnest(
        %(segments)s::bigint[], %(slots)s::int[], %(scores)s::float8[], %(positions)s::int[]
    ) as place (segment_id, slot, score, position)
    cross join lateral (
        select * from publication
        where publication.segment_id = place.segment_id and publication.first_slot <= place.slot
        order by publication.first_slot desc limit 1
    ) as publication
    where place.slot < publication.first_slot + publication.chunk_count
), capped as (
    select *, row_number() over (
        partition by document_id order by score desc, ordinal) as nth_of_document
    from found
), chosen as (
    select * from capped
    where %(max_per_document)s::int is null or nth_of_document <= %(max_per_document)s::int
    order by score desc, document_id, ordinal
    limit %(limit)s
)
select
    (select count(*) from found) as resolved, chosen.position, chosen.score, chosen.document_id, chosen.ordinal, chosen.published_at,
    document.uri, parsed.title, chunk.text, chunk.headings, chunk.page_first,
    document_version.content_hash,
    case when %(neighbors)s > 0 then nullif((
        select substring(parsed.text from min(other.start_char) + 1
            for greatest(chunk.start_char - min(other.start_char), 0))
        from chunk as other where other.chunk_set_id = chosen.chunk_set_id
            and other.ordinal between chosen.ordinal - %(neighbors)s and chosen.ordinal - 1
    ), '') end as text_before,
    case when %(neighbors)s > 0 then nullif((
        select substring(parsed.text from chunk.end_char + 1
            for greatest(max(other.end_char) - chunk.end_char, 0))
        from chunk as other where other.chunk_set_id = chosen.chunk_set_id
            and other.ordinal between chosen.ordinal + 1 and chosen.ordinal + %(neighbors)s
    ), '') end as text_after
from chosen
join document on document.id = chosen.document_id
join document_version on document_version.id = chosen.version_id
join chunk on chunk.chunk_set_id = chosen.chunk_set_id and chunk.ordinal = chosen.ordinal
join chunk_set on chunk_set.id = chosen.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
order by chosen.score desc, chosen.document_id, chosen.ordinal

-- name: last_published
-- When a generation was last published to.
select max(published_at) as published_at from publication where generation_id = %(generation_id)s
