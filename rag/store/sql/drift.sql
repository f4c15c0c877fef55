-- name: live_model
-- The live generation of a collection, the partition of its rows, and the model of its vectors.
select generation.id as generation_id, generation.home, generation.model_id
from collection join generation on generation.id = collection.live_generation_id
where collection.id = %(collection_id)s

-- name: reference
-- What a shard's documents or a collection's questions were like.
select id, taken_at from drift_reference
where collection_id = %(collection_id)s and shard = %(shard)s and subject = %(subject)s
    and model_id = %(model_id)s

-- name: take_reference
-- From now on this is what they are compared with.
insert into drift_reference (collection_id, shard, subject, model_id)
values (%(collection_id)s, %(shard)s, %(subject)s, %(model_id)s)
on conflict (collection_id, shard, subject, model_id) do nothing
returning id, taken_at

-- name: drop_references
-- What is there now becomes the reference at the next check.
delete from drift_reference where collection_id = %(collection_id)s

-- name: fill_documents
-- A sample of the shard's documents, the same for the same documents: chunks of one document are
-- alike, so each gives one.
insert into drift_sample (reference_id, document_id, vector, media_type, language, words)
select %(reference_id)s, document.id, search_row.vector, parsed.media_type, parsed.language,
    parsed.word_count
from publication
join document on document.id = publication.document_id
join search_row on search_row.home = %(home)s
    and search_row.generation_id = publication.generation_id
    and search_row.document_id = publication.document_id
    and search_row.ordinal = mod(hashint8(document.id)::bigint + 2147483648, publication.chunk_count)
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
where publication.generation_id = %(generation_id)s and document.shard = %(shard)s
    and document.deleted_at is null and publication.chunk_count > 0
order by md5(document.id::text) limit %(limit)s

-- name: count_documents
-- How many of the shard's documents are served.
select count(*) as documents
from publication join document on document.id = publication.document_id
where publication.generation_id = %(generation_id)s and document.shard = %(shard)s
    and document.deleted_at is null and publication.chunk_count > 0

-- name: recent_documents
-- The newest of the shard's documents that came or changed after the reference was taken, within
-- the window.
select search_row.vector::real[] as vector, parsed.media_type, parsed.language,
    parsed.word_count as words
from publication
join document on document.id = publication.document_id
join document_version on document_version.id = publication.version_id
join search_row on search_row.home = %(home)s
    and search_row.generation_id = publication.generation_id
    and search_row.document_id = publication.document_id
    and search_row.ordinal = mod(hashint8(document.id)::bigint + 2147483648, publication.chunk_count)
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
where publication.generation_id = %(generation_id)s and document.shard = %(shard)s
    and document.deleted_at is null and publication.chunk_count > 0
    and document_version.registered_at > %(since)s
order by document_version.registered_at desc, document.id desc limit %(limit)s

-- name: samples
-- The members of a reference.
select vector::real[] as vector, media_type, language, words from drift_sample
where reference_id = %(reference_id)s

-- name: add_question
-- A question of the reference.
insert into drift_sample (reference_id, query_id, vector, words)
values (%(reference_id)s, %(query_id)s, %(vector)s::real[]::vector::halfvec, %(words)s)

-- name: questions
-- Different questions in a span of time, the newest first, each as it was asked last.
select * from (
    select distinct on (query_log.query) query_log.id, query_log.query, query_log.asked_at,
        query_log.hits = '[]' as is_zero_hit,
        coalesce(answer_log.outcome = 'unknown', false) as is_unknown,
        (query_log.hits -> 0 ->> 'score')::float8 as best_score,
        said.is_judged, said.is_down
    from query_log
    left join answer_log on answer_log.query_id = query_log.id
    left join lateral (
        select count(*) > 0 as is_judged, coalesce(bool_or(thumb = 'down'), false) as is_down
        from feedback where feedback.query_id = query_log.id
    ) as said on true
    where query_log.collection_id = %(collection_id)s
        and asked_at > %(after)s and asked_at <= %(until)s
    order by query_log.query, asked_at desc
) as question
order by asked_at desc limit %(limit)s

-- name: drop_findings
-- What a check found in a shard before is past.
delete from drift_finding
where collection_id = %(collection_id)s and shard = %(shard)s and check_name = %(check_name)s

-- name: keep_finding
-- What a check found in a shard now.
insert into drift_finding (collection_id, shard, check_name, measure, value, warn, fail, p_value)
values (%(collection_id)s, %(shard)s, %(check_name)s, %(measure)s, %(value)s, %(warn)s, %(fail)s,
    %(p_value)s)

-- name: findings
-- What checks found last, by collection: of several shards the largest value.
select namespace.name as namespace, collection.name as collection, check_name, measure,
    max(value) as value, max(warn) as warn, max(fail) as fail
from drift_finding
join collection on collection.id = drift_finding.collection_id
join namespace on namespace.id = collection.namespace_id
where drift_finding.shard < collection.shards
group by 1, 2, 3, 4
order by 1, 2, 3, 4
