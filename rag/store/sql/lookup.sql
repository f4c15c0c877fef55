-- name: one_moment
-- A transaction that reads what was committed by now, and writes nothing.
begin isolation level repeatable read, read only

-- name: settings
-- How the index is read in this transaction. A plan made once serves every question: what a plan
-- turns on (home, depth, restriction) is put into the statement by code.
select
    set_config('hnsw.ef_search', %(search_breadth)s, true),
    set_config('hnsw.iterative_scan', 'strict_order', true),
    set_config('plan_cache_mode', 'force_generic_plan', true),
    set_config('jit', 'off', true)

-- name: outline
-- What a collection's index is made of: its live generation (or another that is named), where that
-- one's rows are, whether any document is for some only, and its segments with what is dead.
select
    generation.id as generation_id, coalesce(generation.home, 0) as home,
    collection.language::text as language, generation.recipe::text as recipe,
    exists (
        select from document
        where document.collection_id = collection.id and document.principals is not null
    ) as has_access_lists,
    made.ids, made.slots, made.rows, made.words, made.dead
from collection
join namespace on namespace.id = collection.namespace_id
left join generation
    on generation.id = coalesce(%(generation)s::bigint, collection.live_generation_id)
left join lateral (
    select array_agg(segment.id order by segment.id) as ids,
        array_agg(segment.slots order by segment.id) as slots,
        array_agg(segment.rows order by segment.id) as rows,
        array_agg(segment.words order by segment.id) as words,
        array_agg(segment.dead::text order by segment.id) as dead
    from segment where segment.generation_id = generation.id
) as made on true
where namespace.name = %(namespace)s and collection.name = %(collection)s

-- name: lexemes
-- What words are indexed as in a language: nothing for a stop word.
with dictionary as (
    select distinct on (maptokentype) maptokentype, mapdict::regdictionary as name
    from pg_ts_config_map
    where mapcfg = %(language)s::regconfig and maptokentype in (1, 2)
    order by maptokentype, mapseqno
), lexed as (
    select word, ts_lexize(dictionary.name, word) as forms
    from unnest(%(words)s::text[]) as word
    left join dictionary
        on dictionary.maptokentype = case when octet_length(word) = length(word) then 1 else 2 end
)
select word, case when forms is null then word else coalesce(forms[1], '') end as lexeme
from lexed

-- name: postings
-- The postings of lexemes in segments. A segment that can be seen has a row even without any: only
-- then nothing found means nothing there.
select segment.id as segment_id, posting.lexeme, posting.entries
from segment
left join posting
    on posting.segment_id = segment.id and posting.lexeme = any(%(lexemes)s::text[])
where segment.id = any(%(segments)s::bigint[])

-- name: permitted
-- Documents of a generation that filters and access lists let through, by segment.
with scope as (
    select coalesce(%(generation)s::bigint, collection.live_generation_id) as generation_id
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
where publication.segment_id is not null
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

-- name: near
-- The rows nearest to a vector by cosine similarity, through the partition's index where it has one.
-- The expression is the index's own, and worked out once for each row that is looked at.
select publication.segment_id, publication.first_slot + nearest.ordinal as slot,
    1 - nearest.distance as similarity, nearest.document_id, nearest.ordinal
from (
    select search_row.document_id, search_row.ordinal,
        (search_row.vector::halfvec({dimension})
            <=> (select %(vector)b::halfvec({dimension}))) {exact} as distance
    from search_row
    where search_row.home = {home} and search_row.generation_id = %(generation_id)s
        {restriction}
    order by distance
    limit {depth}
) as nearest
join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = nearest.document_id
order by nearest.distance, nearest.document_id, nearest.ordinal

-- name: placed
-- The rows in the places where a question's words are, and how near they are to its vector.
select place.segment_id, place.slot, publication.document_id, at.ordinal, (
        select 1 - (search_row.vector::halfvec({dimension})
            <=> (select %(vector)b::halfvec({dimension})))
        from search_row
        where search_row.home = {home} and search_row.generation_id = %(generation_id)s
            and search_row.document_id = publication.document_id
            and search_row.ordinal = at.ordinal
    ) as similarity
from unnest(%(segments)s::bigint[], %(slots)s::int[]) as place (segment_id, slot)
cross join lateral (
    select * from publication
    where publication.segment_id = place.segment_id and publication.first_slot <= place.slot
    order by publication.first_slot desc limit 1
) as publication
cross join lateral (select place.slot - publication.first_slot as ordinal) as at
where at.ordinal < publication.chunk_count

-- name: placed_only
-- The same for a question without a vector.
select place.segment_id, place.slot, publication.document_id,
    place.slot - publication.first_slot as ordinal, null::float8 as similarity
from unnest(%(segments)s::bigint[], %(slots)s::int[]) as place (segment_id, slot)
cross join lateral (
    select * from publication
    where publication.segment_id = place.segment_id and publication.first_slot <= place.slot
    order by publication.first_slot desc limit 1
) as publication
where place.slot < publication.first_slot + publication.chunk_count

-- name: passages
-- The texts of rows and where they come from, on request with the text before and after.
select document.id as document_id, chunk.ordinal, document.uri, publication.published_at,
    parsed.title, chunk.text, chunk.headings, chunk.page_first, document_version.content_hash,
    publication.version_id, chunk.start_char, chunk.end_char,
    case when %(neighbors)s::int > 0 then nullif((
        select substring(parsed.text from min(other.start_char) + 1
            for greatest(chunk.start_char - min(other.start_char), 0))
        from chunk as other where other.chunk_set_id = chunk.chunk_set_id
            and other.ordinal between chunk.ordinal - %(neighbors)s::int and chunk.ordinal - 1
    ), '') end as text_before,
    case when %(neighbors)s::int > 0 then nullif((
        select substring(parsed.text from chunk.end_char + 1
            for greatest(max(other.end_char) - chunk.end_char, 0))
        from chunk as other where other.chunk_set_id = chunk.chunk_set_id
            and other.ordinal between chunk.ordinal + 1 and chunk.ordinal + %(neighbors)s::int
    ), '') end as text_after
from unnest(%(documents)s::bigint[], %(ordinals)s::int[]) as row (document_id, ordinal)
join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = row.document_id
join document on document.id = publication.document_id
join document_version on document_version.id = publication.version_id
join chunk on chunk.chunk_set_id = publication.chunk_set_id and chunk.ordinal = row.ordinal
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id

-- name: last_published
-- When a generation was last published to.
select max(published_at) as published_at from publication where generation_id = %(generation_id)s
