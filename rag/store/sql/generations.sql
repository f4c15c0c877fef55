-- name: lock_collection
-- Serialise changes of a collection's generations.
select live_generation_id, recipe, is_gated from collection where id = %(collection_id)s for update

-- name: set_gate
-- Whether a caught-up generation waits for the gate.
update collection set is_gated = %(is_gated)s where id = %(collection_id)s

-- name: set_recipe
-- What the settings say otherwise for this collection.
update collection set recipe = %(recipe)s where id = %(collection_id)s

-- name: standing
-- A collection's gate and recipe, and which generation is live.
select is_gated, recipe, live_generation_id from collection where id = %(collection_id)s

-- name: live
-- Which generation a collection's searches read, and the recipe it was built under.
select collection.live_generation_id as id, generation.recipe
from collection
join namespace on namespace.id = collection.namespace_id
left join generation on generation.id = collection.live_generation_id
where namespace.name = %(namespace)s and collection.name = %(collection)s

-- name: note_recipe
-- Remember the settings a generation was built under: the newest words count, as their results are
-- the same.
update generation set recipe = %(recipe)s, revision = coalesce(%(revision)s, revision)
where id = %(generation_id)s and (recipe is distinct from %(recipe)s::jsonb
    or (%(revision)s::text is not null and revision is distinct from %(revision)s))

-- name: generations
-- Every generation of a collection, newest first, with its configuration, size and last decision.
select generation.id, generation.state, generation.created_at, generation.promoted_at,
    generation.retired_at, generation.run_id, generation.recipe, generation.revision,
    generation.parser_id, generation.chunker_id, generation.model_id,
    parser.name as parser, chunker.name as chunker, model.name as model,
    model.config ->> 'model' as embedding_model, served.documents, served.chunks,
    decision.passed as gate_passed, decision.decided_at
from generation
join fingerprint as parser on parser.id = generation.parser_id
join fingerprint as chunker on chunker.id = generation.chunker_id
join fingerprint as model on model.id = generation.model_id
left join lateral (
    select count(*) as documents, coalesce(sum(chunk_count), 0)::bigint as chunks
    from publication where publication.generation_id = generation.id) as served on true
left join lateral (
    select passed, decided_at from gate_decision
    where gate_decision.candidate_id = generation.id
    order by gate_decision.id desc limit 1) as decision on true
where generation.collection_id = %(collection_id)s
order by generation.id desc

-- name: in_use
-- The generations of a collection that are not retired, with the recipe they can be made by.
select id, state, parser_id, chunker_id, model_id, recipe from generation
where collection_id = %(collection_id)s and state <> 'retired' and recipe is not null
order by id

-- name: retire
-- A generation that is not to be used.
update generation set state = 'retired', retired_at = now()
where id = %(generation_id)s and state = 'building'
returning id

-- name: retire_twins
-- Others that are built of the same configuration: two in use would be one too many.
update generation set state = 'retired', retired_at = now()
from generation as chosen
where chosen.id = %(generation_id)s and generation.id <> chosen.id
    and generation.state = 'building'
    and (generation.collection_id, generation.parser_id, generation.chunker_id, generation.model_id)
        = (chosen.collection_id, chosen.parser_id, chosen.chunker_id, chosen.model_id)

-- name: purge
-- Retired generations of a collection, less the newest `keep`, or the one that is named.
delete from generation
where collection_id = %(collection_id)s and state = 'retired'
    and (id = %(generation_id)s or (%(generation_id)s::bigint is null and id not in (
        select newest.id from generation as newest
        where newest.collection_id = %(collection_id)s and newest.state = 'retired'
        order by newest.retired_at desc, newest.id desc limit %(keep)s)))
returning id

-- name: rates
-- What this installation does per second, over its last runs that had something to do.
with done as (
    select stage, seconds, counts, row_number() over (partition by stage order by id desc) as age
    from stage_run
    where seconds > 0 and (
        (stage = 'parsed_documents' and (counts ->> 'parsed')::bigint > 0)
        or (stage = 'chunks' and (counts ->> 'chunks')::bigint > 0)
        or (stage = 'embeddings' and (counts ->> 'embedded')::bigint > 0)
        or (stage = 'search_index' and (counts ->> 'chunks')::bigint > 0))
)
select stage,
    sum(case stage when 'parsed_documents' then (counts ->> 'parsed')::bigint
        when 'embeddings' then (counts ->> 'embedded')::bigint
        else (counts ->> 'chunks')::bigint end)::float8 / sum(seconds)::float8 as per_second
from done where age <= 50 group by stage

-- name: reach
-- What of a collection's documents is parsed and cut under a configuration already, and what of
-- those cuts has its vectors.
with live as (
    select document.id, document.size_bytes, parsed.id as parsed_id, parsed.word_count,
        chunk_set.id as chunk_set_id
    from document
    join collection on collection.id = document.collection_id
    join document_version on document_version.id = document.version_id
    left join parsed on parsed.namespace_id = collection.namespace_id
        and parsed.parser_id = %(parser_id)s
        and parsed.content_hash = document_version.content_hash
        and parsed.superseded_at is null
    left join chunk_set on chunk_set.parsed_id = parsed.id
        and chunk_set.chunker_id = %(chunker_id)s
    where document.collection_id = %(collection_id)s and document.deleted_at is null
), texts as (
    select chunk.embedded_hash,
        bool_or(embedding.embedded_hash is not null) as has_vector, count(*) as chunks
    from (select distinct chunk_set_id from live where chunk_set_id is not null) as sets
    join chunk on chunk.chunk_set_id = sets.chunk_set_id
    left join embedding on embedding.embedded_hash = chunk.embedded_hash
        and embedding.namespace_id = %(namespace_id)s and embedding.model_id = %(model_id)s
    group by chunk.embedded_hash
)
select
    (select count(*) from live) as documents,
    (select count(*) from live where parsed_id is null) as to_parse,
    (select count(*) from live where parsed_id is not null and chunk_set_id is null) as to_cut,
    (select coalesce(sum(word_count), 0)::bigint from live
     where parsed_id is not null and chunk_set_id is null) as words_to_cut,
    (select count(*) from live join chunk on chunk.chunk_set_id = live.chunk_set_id) as chunks,
    (select count(*) from texts where has_vector) as vectors_reused,
    (select count(*) from texts where not has_vector) as vectors_new

-- name: sample_to_cut
-- Some texts that a configuration has not cut yet, spread over the collection.
select parsed.* from (
    select distinct parsed.id
    from document
    join collection on collection.id = document.collection_id
    join document_version on document_version.id = document.version_id
    join parsed on parsed.namespace_id = collection.namespace_id
        and parsed.parser_id = %(parser_id)s
        and parsed.content_hash = document_version.content_hash
        and parsed.superseded_at is null
    where document.collection_id = %(collection_id)s and document.deleted_at is null
        and not exists (select from chunk_set where chunk_set.parsed_id = parsed.id
            and chunk_set.chunker_id = %(chunker_id)s)
) as waiting
join parsed on parsed.id = waiting.id
order by md5(waiting.id::text) limit %(limit)s

-- name: known_vectors
-- Of these texts, those that have their vector under a model.
select embedded_hash from embedding
where embedded_hash = any(%(hashes)s) and namespace_id = %(namespace_id)s
    and model_id = %(model_id)s

-- name: decide
-- Keep what the gate said.
insert into gate_decision (collection_id, candidate_id, live_id, passed, report)
values (%(collection_id)s, %(candidate_id)s, %(live_id)s, %(passed)s, %(report)s)

-- name: last_decision
-- What the gate last said of a candidate.
select passed, report, decided_at, live_id from gate_decision
where candidate_id = %(generation_id)s order by id desc limit 1

-- name: compare
-- How two generations of a collection differ in what they serve.
select
    count(*) filter (where a.document_id is null) as only_second,
    count(*) filter (where b.document_id is null) as only_first,
    count(*) filter (where a.version_id <> b.version_id) as other_version,
    count(*) filter (where a.chunk_count <> b.chunk_count) as other_chunk_count,
    count(*) filter (where a.chunk_set_id = b.chunk_set_id) as same_chunks
from (select * from publication where generation_id = %(first)s) as a
full join (select * from publication where generation_id = %(second)s) as b
    on b.document_id = a.document_id

-- name: sample_vectors
-- The first vector of some documents of a generation, the same ones each time.
select search_row.vector::text as vector
from (
    select document_id from publication
    where generation_id = %(generation_id)s and chunk_count > 0
    order by md5(document_id::text) limit %(limit)s
) as chosen
join generation on generation.id = %(generation_id)s
join search_row on search_row.home = generation.home
    and search_row.generation_id = generation.id
    and search_row.document_id = chosen.document_id and search_row.ordinal = 0

-- name: sample_documents
-- Every second document of a generation, as a filter might let them through, and their rows.
select coalesce(array_agg(document_id), '{}') as documents,
    coalesce(sum(chunk_count), 0)::bigint as rows
from publication
where generation_id = %(generation_id)s and get_byte(decode(md5(document_id::text), 'hex'), 0) < 128

-- name: exact_similarities
-- The nearest rows of some documents, compared one by one.
select 1 - (search_row.vector <=> %(vector)s::halfvec) as similarity
from search_row
where search_row.home = %(home)s and search_row.generation_id = %(generation_id)s
    and search_row.document_id = any(%(documents)s)
order by (search_row.vector <=> %(vector)s::halfvec) + 0 limit %(depth)s
