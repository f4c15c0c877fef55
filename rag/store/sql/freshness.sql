-- name: set_objective
-- From now on the collection should be so current.
insert into freshness_objective (collection_id, warn_s, fail_s)
values (%(collection_id)s, %(warn_s)s, %(fail_s)s)
on conflict (collection_id) do update set warn_s = excluded.warn_s, fail_s = excluded.fail_s

-- name: drop_objective
-- From now on the settings say.
delete from freshness_objective where collection_id = %(collection_id)s

-- name: freshness
-- From change to search, by collection; of one collection, or one shard of it, when they are given.
-- A change counts from when the source made it, but not from before the source was bound; it is
-- searchable from the first generation that served it, so a new generation makes nothing late. What
-- failed for good is counted, and not waited for.
with objective as (
    select collection.id as collection_id, coalesce(warn_s, %(warn_s)s::float8) as warn_s,
        coalesce(fail_s, %(fail_s)s::float8) as fail_s
    from collection left join freshness_objective on collection_id = collection.id
    where %(collection_id)s::int is null or collection.id = %(collection_id)s
), served as (
    select document_id, version_id, min(published_at) as searchable_at
    from publication join generation on generation.id = publication.generation_id
    where %(collection_id)s::int is null or generation.collection_id = %(collection_id)s
    group by document_id, version_id
), change as (
    select
        document.collection_id,
        least(
            document_version.registered_at,
            greatest(
                coalesce(document_version.modified_at, document_version.registered_at),
                source.created_at)) as changed_at,
        served.searchable_at,
        exists (
            select from dead_letter
            where dead_letter.document_id = document.id and dead_letter.resolved_at is null
                and dead_letter.version_id = document.version_id
                and dead_letter.kind in ('poison', 'policy', 'configuration')) as has_failed
    from document
    join source on source.id = document.source_id
    join document_version on document_version.id = document.version_id
    left join served on served.document_id = document.id
        and served.version_id = document.version_id
    where document.deleted_at is null
        and (%(collection_id)s::int is null or document.collection_id = %(collection_id)s)
        and (%(shard)s::int is null or document.shard = %(shard)s)
), counted as (
    select
        collection_id,
        count(*) as documents,
        count(*) filter (where searchable_at is null and not has_failed) as waiting,
        count(*) filter (where searchable_at is null and has_failed) as failed,
        extract(epoch from now() - min(changed_at)
            filter (where searchable_at is null and not has_failed))::float8 as waiting_s
    from change group by collection_id
), percentile as (
    select
        change.collection_id,
        count(*) as measured,
        count(*) filter (where searchable_at - changed_at <= make_interval(secs => warn_s))
            as in_time,
        percentile_cont(array[0.5, 0.95, 0.99])
            within group (order by extract(epoch from searchable_at - changed_at)) as seconds
    from change join objective on objective.collection_id = change.collection_id
    where searchable_at is not null
        and changed_at > now() - make_interval(secs => %(window_s)s)
    group by change.collection_id
), look as (
    select
        collection_id,
        extract(epoch from now() - min(coalesce(listed_at, created_at)))::float8 as unseen_s
    from source group by collection_id
)
select
    namespace.name as namespace, collection.name as collection, warn_s, fail_s,
    coalesce(documents, 0) as documents, coalesce(waiting, 0) as waiting,
    coalesce(failed, 0) as failed, coalesce(waiting_s, 0)::float8 as waiting_s,
    coalesce(unseen_s, 0)::float8 as unseen_s, coalesce(measured, 0) as measured,
    coalesce(in_time, 0) as in_time,
    seconds[1]::float8 as p50_s, seconds[2]::float8 as p95_s, seconds[3]::float8 as p99_s
from objective
join collection on collection.id = objective.collection_id
join namespace on namespace.id = collection.namespace_id
left join counted on counted.collection_id = collection.id
left join percentile on percentile.collection_id = collection.id
left join look on look.collection_id = collection.id
order by 1, 2
