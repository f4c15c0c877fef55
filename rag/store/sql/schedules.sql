-- name: set_schedule
-- When the collection is run or evaluated; when it was last stays known.
insert into schedule (collection_id, kind, every_days, cron)
values (%(collection_id)s, %(kind)s, %(every_days)s, %(cron)s)
on conflict (collection_id, kind) do update set
    every_days = excluded.every_days, cron = excluded.cron

-- name: drop_schedule
-- The collection is no longer run, or evaluated, by time.
delete from schedule where collection_id = %(collection_id)s and kind = %(kind)s
returning collection_id

-- name: schedules
-- All schedules by collection.
select namespace.name as namespace, collection.name as collection, schedule.collection_id,
    collection.shards, kind, every_days, cron, last_run_at, schedule.created_at
from schedule
join collection on collection.id = schedule.collection_id
join namespace on namespace.id = collection.namespace_id
order by 1, 2, kind desc

-- name: mark_run
-- The collection has been run or evaluated, or was tried often enough.
update schedule set last_run_at = %(at)s
where collection_id = %(collection_id)s and kind = %(kind)s

-- name: lock_requests
-- Those who request runs take turns.
select pg_advisory_xact_lock(hashtextextended('rag reindex requests', 0))

-- name: requests_of_cause
-- How often a shard was asked for because of this, and when last.
select count(*) as times, max(requested_at) as last_at from reindex_request
where collection_id = %(collection_id)s and shard = %(shard)s and cause = %(cause)s

-- name: last_cause
-- The newest of a shard's causes that start so.
select cause from reindex_request
where collection_id = %(collection_id)s and shard = %(shard)s
    and starts_with(cause, %(prefix)s)
order by id desc limit 1

-- name: request
-- A run of the shard is asked for.
insert into reindex_request (collection_id, shard, cause, reason, requested_at)
values (%(collection_id)s, %(shard)s, %(cause)s, %(reason)s, %(at)s)

-- name: recent_requests
-- Requests after this one, unless they are so old that their reason has passed.
select reindex_request.id, namespace.name as namespace, collection.name as collection,
    collection.shards, shard, cause, reason
from reindex_request
join collection on collection.id = reindex_request.collection_id
join namespace on namespace.id = collection.namespace_id
where reindex_request.id > %(after)s and requested_at > %(since)s and reason <> ''
    and shard < collection.shards
order by reindex_request.id

-- name: embeddings_since
-- How many embeddings runs of the collection have made.
select coalesce(sum((counts ->> 'embedded')::bigint), 0)::bigint as embedded from stage_run
where collection_id = %(collection_id)s and stage = 'embeddings' and ended_at > %(since)s
