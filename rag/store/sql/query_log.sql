-- name: record_query
-- One search and what it found.
insert into query_log (
    id, namespace_id, collection_id, generation_id, principal, query, mode, k, filters, min_score,
    hits, encode_ms, search_ms)
select
    %(id)s, collection.namespace_id, collection.id, %(generation_id)s, %(principal)s, %(query)s,
    %(mode)s, %(k)s, %(filters)s, %(min_score)s, %(hits)s, %(encode_ms)s, %(search_ms)s
from collection join namespace on namespace.id = collection.namespace_id
where namespace.name = %(namespace)s and collection.name = %(collection)s

-- name: collection_of_query
-- Where a query was asked; nothing of what it said.
select namespace.name as namespace, collection.name as collection
from query_log
join collection on collection.id = query_log.collection_id
join namespace on namespace.id = collection.namespace_id
where query_log.id = %(query_id)s

-- name: expected_document
-- A live document of the query's collection by its address or file name, if only one has it.
select min(document.id) as id
from query_log join document on document.collection_id = query_log.collection_id
where query_log.id = %(query_id)s and document.deleted_at is null
    and (document.uri = %(document)s or regexp_replace(document.uri, '^.*/', '') = %(document)s)
having count(*) = 1

-- name: record_feedback
-- What somebody said of one query's answer.
insert into feedback (query_id, principal, thumb, comment, expected_document_id, expected_ordinal)
values (%(query_id)s, %(principal)s, %(thumb)s, %(comment)s, %(document_id)s, %(ordinal)s)
returning id
