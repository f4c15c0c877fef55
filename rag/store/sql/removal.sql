-- name: generations_of
-- Every generation of a collection.
select id from generation where collection_id = %(collection_id)s

-- name: uploaded_objects
-- Addresses that uploads to a collection have used.
select distinct upload_file.uri
from upload_file join upload_job on upload_job.id = upload_file.job_id
where upload_job.collection_id = %(collection_id)s

-- name: drop_collection
-- A collection with sources, documents, generations, queries, answers and uploads.
delete from collection where id = %(collection_id)s

-- name: find_namespace
-- A namespace by name.
select id from namespace where name = %(namespace)s

-- name: collections_of
-- The collections of a namespace.
select name from collection where namespace_id = %(namespace_id)s order by name

-- name: drop_embeddings
-- All vectors of a namespace.
delete from embedding where namespace_id = %(namespace_id)s

-- name: drop_parsed
-- All parsed text of a namespace, with its chunks.
delete from parsed where namespace_id = %(namespace_id)s

-- name: drop_namespace
-- The namespace itself, with its keys.
delete from namespace where id = %(namespace_id)s

-- name: ask_for_look
-- A reason to look at every source of a collection, in each of its shards.
insert into hint (source_id, uri, shard)
select source.id, source.uri || '#' || shard, shard
from source join collection on collection.id = source.collection_id
cross join generate_series(0, collection.shards - 1) as shard
where source.collection_id = %(collection_id)s
on conflict (source_id, uri) do update set received_at = clock_timestamp()
