-- name: ensure_namespace
-- The namespace's id, made if it is new.
insert into namespace (name) values (%(namespace)s)
on conflict (name) do update set name = excluded.name
returning id

-- name: create_collection
-- A new collection; no row when the name is taken.
insert into collection (namespace_id, name, shards, language)
values (%(namespace_id)s, %(collection)s, %(shards)s, %(language)s::regconfig)
on conflict (namespace_id, name) do nothing
returning id

-- name: find_collection
-- One collection by its full name.
select
    collection.id, collection.namespace_id, namespace.name as namespace, collection.name,
    collection.shards, collection.language::text as language, collection.live_generation_id,
    collection.created_at
from collection join namespace on namespace.id = collection.namespace_id
where namespace.name = %(namespace)s and collection.name = %(collection)s

-- name: list_collections
-- All collections with their counts, by name.
select
    namespace.name as namespace, collection.name, collection.shards,
    collection.language::text as language, collection.live_generation_id, collection.created_at,
    coalesce(
        (select array_agg(source.uri order by source.uri) from source
         where source.collection_id = collection.id), '{}') as sources,
    coalesce(
        (select jsonb_object_agg(source.uri, source.options -> 'since') from source
         where source.collection_id = collection.id and source.options ? 'since'),
        '{}') as bounds,
    (select count(*) from document
     where document.collection_id = collection.id and deleted_at is null) as documents,
    (select coalesce(sum(chunk_count), 0)::bigint from publication
     where publication.generation_id = collection.live_generation_id) as chunks
from collection join namespace on namespace.id = collection.namespace_id
order by 1, 2

-- name: add_source
-- Bind a source to a collection; a repeat changes its choice of objects if it names one.
insert into source (collection_id, uri, options)
values (%(collection_id)s, %(uri)s, %(options)s)
on conflict (collection_id, uri) do update set options = excluded.options
    where excluded.options <> '{}'

-- name: move_bounds_back
-- Let bounded sources of a collection, all or one, reach back to a day; none comes nearer.
update source set options = options || jsonb_build_object('since', %(since)s::text)
where collection_id = %(collection_id)s and (%(uri)s::text is null or uri = %(uri)s)
    and (options ->> 'since')::date > %(since)s::date
returning uri

-- name: list_sources
-- The sources of one collection.
select id, uri, options, listed_at, breaker_since, breaker_documents, deletions_confirmed_at
from source where collection_id = %(collection_id)s order by id

-- name: all_sources
-- Every source with its collection, for sensors.
select source.id, source.uri, source.options, namespace.name as namespace, collection.name as collection,
    collection.shards
from source
join collection on collection.id = source.collection_id
join namespace on namespace.id = collection.namespace_id
order by source.id

-- name: find_fingerprint
-- The id of a configuration's fingerprint, when it is registered.
select id from fingerprint where name = %(name)s

-- name: ensure_fingerprint
-- The id of a configuration's fingerprint, registered on first sight.
insert into fingerprint (name, kind, config) values (%(name)s, %(kind)s, %(config)s)
on conflict (name) do update set name = excluded.name
returning id
