-- name: sources_of
-- Which sources hold the named objects, however each is sharded; none for objects of strangers and
-- for documents that were erased.
select source.id as source_id, item.uri, collection.shards
from unnest(%(uris)s::text[]) as item (uri)
join source on item.uri = source.uri
    or (right(source.uri, 1) = '/' and starts_with(item.uri, source.uri))
    or starts_with(item.uri, source.uri || '/')
join collection on collection.id = source.collection_id
where not exists (
    select from erasure
    where erasure.collection_id = source.collection_id
        and erasure.uri_hash = sha256(convert_to(item.uri, 'UTF8')))
order by 1, 2

-- name: add
-- Remember the hints; a repeat makes one as young as new.
insert into hint (source_id, uri, shard, received_at)
select item.source_id, item.uri, item.shard, clock_timestamp()
from unnest(%(source_ids)s::int[], %(uris)s::text[], %(shards)s::int[])
    as item (source_id, uri, shard)
on conflict (source_id, uri) do update set received_at = excluded.received_at

-- name: clear
-- A run has looked at the source after these were received.
delete from hint
where source_id = %(source_id)s and shard = any(%(shards)s) and received_at <= %(listed_at)s

-- name: hinted_shards
-- The shards with hints, and how young the newest is.
select namespace.name as namespace, collection.name as collection, collection.shards, hint.shard,
    count(*) as objects, max(hint.received_at) as newest
from hint
join source on source.id = hint.source_id
join collection on collection.id = source.collection_id
join namespace on namespace.id = collection.namespace_id
group by namespace.name, collection.name, collection.shards, hint.shard
order by 1, 2, 4
