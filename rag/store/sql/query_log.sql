-- name: record_query
-- One search and what it found. Nobody waits for the disk: what a crash of the server takes is the
-- last second's questions, and none that feedback names.
with unhurried as materialized (select set_config('synchronous_commit', 'off', true))
insert into query_log (
    id, namespace_id, collection_id, generation_id, principal, query, mode, k, filters, min_score,
    hits, encode_ms, search_ms)
select
    %(id)s, collection.namespace_id, collection.id, %(generation_id)s, %(principal)s, %(query)s,
    %(mode)s, %(k)s, %(filters)s, %(min_score)s, %(hits)s, %(encode_ms)s, %(search_ms)s
from unhurried, collection join namespace on namespace.id = collection.namespace_id
where namespace.name = %(namespace)s and collection.name = %(collection)s

-- name: collection_of_query
-- Where a query was asked; nothing of what it said.
select namespace.name as namespace, collection.name as collection
from query_log
join collection on collection.id = query_log.collection_id
join namespace on namespace.id = collection.namespace_id
where query_log.id = %(query_id)s

-- name: expected_document
-- A live document of the query's collection by its address or file name, if only one of those that
-- the principals may see has it.
select min(document.id) as id
from query_log join document on document.collection_id = query_log.collection_id
where query_log.id = %(query_id)s and document.deleted_at is null
    and (%(sees_all)s or document.principals is null
        or document.principals && %(principals)s::text[])
    and (document.uri = %(document)s or regexp_replace(document.uri, '^.*/', '') = %(document)s)
having count(*) = 1

-- name: record_feedback
-- What somebody said of one query's answer.
insert into feedback (query_id, principal, thumb, comment, expected_document_id, expected_ordinal)
values (%(query_id)s, %(principal)s, %(thumb)s, %(comment)s, %(document_id)s, %(ordinal)s)
returning id

-- name: record_answer
-- What was answered to a logged query.
insert into answer_log (
    query_id, searched, answer, outcome, error_code, cited, dropped, model, prompt_tokens,
    completion_tokens, first_ms, total_ms)
values (
    %(query_id)s, %(searched)s, %(answer)s, %(outcome)s, %(error_code)s, %(cited)s, %(dropped)s,
    %(model)s, %(prompt_tokens)s, %(completion_tokens)s, %(first_ms)s, %(total_ms)s)
on conflict (query_id) do nothing

-- name: queries_of_day
-- The questions of one day (UTC), counted by what came of them.
select
    count(*) as queries,
    count(*) filter (where hits = '[]') as zero_hit,
    count(answer_log.query_id) as answers,
    count(*) filter (where outcome = 'unknown') as unknown,
    count(*) filter (where outcome = 'cancelled') as cancelled,
    count(*) filter (where outcome = 'failed') as failed,
    count(distinct query_log.collection_id) as collections,
    count(distinct principal) as principals,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    coalesce(sum(dropped), 0)::bigint as dropped,
    percentile_cont(0.5) within group (order by encode_ms + search_ms) as search_p50_ms,
    percentile_cont(0.95) within group (order by encode_ms + search_ms) as search_p95_ms,
    percentile_cont(0.5) within group (order by total_ms) as answer_p50_ms,
    percentile_cont(0.95) within group (order by total_ms) as answer_p95_ms
from query_log left join answer_log on answer_log.query_id = query_log.id
where asked_at >= %(start)s and asked_at < %(end)s

-- name: zero_hit_queries
-- Where questions of one day found nothing: counts by collection, no text.
select namespace.name as namespace, collection.name as collection, count(*) as queries,
    count(*) filter (where hits = '[]') as zero_hit,
    count(*) filter (where outcome = 'unknown') as unknown
from query_log
join collection on collection.id = query_log.collection_id
join namespace on namespace.id = query_log.namespace_id
left join answer_log on answer_log.query_id = query_log.id
where asked_at >= %(start)s and asked_at < %(end)s
group by 1, 2 order by zero_hit desc, queries desc, 1, 2 limit %(limit)s

-- name: feedback_of_day
-- The feedback of one day (UTC), counted.
select
    count(*) as given,
    count(*) filter (where thumb = 'up') as up,
    count(*) filter (where thumb = 'down') as down,
    count(comment) as comments,
    count(expected_document_id) as expected,
    count(*) filter (where expected_document_id is not null and not exists (
        select from jsonb_array_elements(query_log.hits) as hit
        where (hit ->> 'document_id')::bigint = expected_document_id
            and (expected_ordinal is null or (hit ->> 'ordinal')::int = expected_ordinal)
    )) as expected_missed,
    count(distinct query_id) as queries
from feedback join query_log on query_log.id = feedback.query_id
where given_at >= %(start)s and given_at < %(end)s

-- name: feedback_by_collection
-- The feedback of one day by collection, most thumbs down first.
select namespace.name as namespace, collection.name as collection,
    count(*) filter (where thumb = 'up') as up, count(*) filter (where thumb = 'down') as down
from feedback
join query_log on query_log.id = feedback.query_id
join collection on collection.id = query_log.collection_id
join namespace on namespace.id = query_log.namespace_id
where given_at >= %(start)s and given_at < %(end)s
group by 1, 2 order by down desc, up desc, 1, 2 limit %(limit)s
