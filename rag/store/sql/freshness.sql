-- name: objective
-- How current a collection should be, where it has an objective of its own.
select warn_s, fail_s from freshness_objective where collection_id = %(collection_id)s

-- name: set_objective
-- From now on the collection should be so current.
insert into freshness_objective (collection_id, warn_s, fail_s)
values (%(collection_id)s, %(warn_s)s, %(fail_s)s)
on conflict (collection_id) do update set warn_s = excluded.warn_s, fail_s = excluded.fail_s

-- name: drop_objective
-- From now on the settings say.
delete from freshness_objective where collection_id = %(collection_id)s

-- name: freshness
-- From change to search, for one shard. A change counts from when the source made it, but not from
-- before the source was bound; it is searchable from the first generation that served it, so a new
-- generation makes nothing late. What failed for good is counted, and not waited for.
with change as (
    select
        least(
            document_version.registered_at,
            greatest(
                coalesce(document_version.modified_at, document_version.registered_at),
                source.created_at)) as changed_at,
        (select min(publication.published_at) from publication
            where publication.document_id = document.id
                and publication.version_id = document.version_id) as searchable_at,
        exists (
            select from dead_letter
            where dead_letter.document_id = document.id and dead_letter.resolved_at is null
                and dead_letter.version_id = document.version_id
                and dead_letter.kind in ('poison', 'policy', 'configuration')) as has_failed
    from document
    join source on source.id = document.source_id
    join document_version on document_version.id = document.version_id
    where document.collection_id = %(collection_id)s and document.shard = %(shard)s
        and document.deleted_at is null
), lag as (
    select extract(epoch from searchable_at - changed_at) as seconds from change
    where changed_at > now() - make_interval(secs => %(window_s)s) and searchable_at is not null
), percentile as (
    select count(*) as measured,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by seconds) as seconds
    from lag
)
select
    (select count(*) from change) as documents,
    (select count(*) from change where searchable_at is null and not has_failed) as waiting,
    (select count(*) from change where searchable_at is null and has_failed) as failed,
    (select coalesce(extract(epoch from now() - min(changed_at)), 0)::float8 from change
        where searchable_at is null and not has_failed) as waiting_s,
    (select coalesce(extract(epoch from now() - min(coalesce(listed_at, created_at))), 0)::float8
        from source where collection_id = %(collection_id)s) as unseen_s,
    measured, seconds[1]::float8 as p50_s, seconds[2]::float8 as p95_s, seconds[3]::float8 as p99_s
from percentile
