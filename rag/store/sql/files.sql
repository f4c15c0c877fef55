-- name: create_job
-- A new upload request.
insert into upload_job (id, collection_id, principal)
values (%(job_id)s, %(collection_id)s, %(principal)s)

-- name: add_file
-- One file of an upload request, not stored yet.
insert into upload_file
    (job_id, position, filename, original_name, uri, size_bytes, content_hash)
values (%(job_id)s, %(position)s, %(filename)s, %(original_name)s, %(uri)s, %(size_bytes)s,
    %(content_hash)s)

-- name: stored
-- The object store has the file's bytes.
update upload_file set stored_at = now() where job_id = %(job_id)s and position = %(position)s

-- name: not_stored
-- The object store did not take the file.
update upload_file set error_code = %(code)s, error_reason = %(reason)s
where job_id = %(job_id)s and position = %(position)s

-- name: find_job
-- An upload request and where it went.
select upload_job.id, upload_job.created_at, namespace.name as namespace,
    collection.name as collection
from upload_job
join collection on collection.id = upload_job.collection_id
join namespace on namespace.id = collection.namespace_id
where upload_job.id = %(job_id)s

-- name: files_of_job
-- Where each file of an upload request stands. A file is processing until the version made of its
-- bytes is served or has failed for good, or the object is something else by now. `stage` is the one
-- that failed, else the last one reached.
select
    upload_file.filename, upload_file.original_name, upload_file.uri,
    coalesce(upload_file.error_code, case when progress.state = 'failed'
        then coalesce(letter.code, %(code)s) end) as code,
    coalesce(upload_file.error_reason, case when progress.state = 'failed'
        then coalesce(letter.reason, %(reason)s) end) as reason,
    progress.state, progress.stage
from upload_file
join upload_job on upload_job.id = upload_file.job_id
left join document on document.collection_id = upload_job.collection_id
    and document.uri = upload_file.uri
left join document_version as newest on newest.id = document.version_id
left join document_status as status on status.document_id = document.id
left join collection on collection.id = document.collection_id
left join lateral (
    select true as is_parsed, bool_or(chunk_set.id is not null) as is_cut
    from parsed left join chunk_set on chunk_set.parsed_id = parsed.id
    where parsed.namespace_id = collection.namespace_id
        and parsed.content_hash = newest.content_hash
    having count(*) > 0
) as made on true
left join lateral (
    select * from dead_letter
    where dead_letter.document_id = document.id and dead_letter.resolved_at is null
        and dead_letter.last_failed_at >= upload_file.stored_at
    order by dead_letter.last_failed_at desc, dead_letter.id desc limit 1
) as letter on true
cross join lateral (
    select
        newest.content_hash = upload_file.content_hash as is_ours,
        exists (
            select from document_version
            where document_version.document_id = document.id
                and document_version.content_hash = upload_file.content_hash
                and document_version.registered_at >= upload_job.created_at) as was_ours
) as version
cross join lateral (
    select
        case
            when upload_file.error_code is not null then 'failed'
            when document.deleted_at >= upload_file.stored_at then 'deleted'
            when letter.id is not null and letter.next_retry_at is null
                and (version.is_ours or letter.stage = 'fetch') then 'failed'
            when version.is_ours and status.published_version_id = document.version_id
                then case when status.state = 'partial' then 'partial' else 'completed' end
            when version.was_ours and not version.is_ours then 'replaced'
            when upload_file.stored_at is null and version.is_ours is not true
                and upload_job.created_at < now() - make_interval(secs => %(longest_put_s)s)
                then 'failed'
            else 'processing'
        end as state,
        case
            when upload_file.error_code is not null or upload_file.stored_at is null then 'upload'
            when letter.id is not null then letter.stage
            when version.is_ours and status.published_version_id = document.version_id
                then 'search_index'
            when version.is_ours and made.is_cut then 'chunks'
            when version.is_ours and made.is_parsed then 'parsed_documents'
            when version.is_ours then 'registered'
            else 'stored'
        end as stage
) as progress
where upload_file.job_id = %(job_id)s
order by upload_file.position

-- name: lock_uploads
-- Uploads to one collection begin one after the other; ingest goes on.
select from collection where id = %(collection_id)s for no key update

-- name: on_the_way
-- Which of these addresses an upload is being stored to.
select upload_file.uri
from upload_file join upload_job on upload_job.id = upload_file.job_id
where upload_job.collection_id = %(collection_id)s and upload_file.uri = any(%(uris)s)
    and upload_file.stored_at is null and upload_file.error_code is null
    and upload_job.created_at >= now() - make_interval(secs => %(longest_put_s)s)

-- name: content_at
-- The content that each address of a collection holds: the newest version's, else the last upload's
-- that waits to be looked at.
select document.uri, document_version.content_hash,
    %(sees_all)s or document.principals is null
        or document.principals && %(principals)s::text[] as is_seen
from document join document_version on document_version.id = document.version_id
where document.collection_id = %(collection_id)s and document.uri = any(%(uris)s)
    and document.deleted_at is null
union all
select pending.uri, pending.content_hash,
    %(sees_all)s or pending.principal = %(uploader)s as is_seen
from (
    select distinct on (upload_file.uri) upload_file.uri, upload_file.content_hash,
        upload_file.stored_at, upload_job.principal
    from upload_file join upload_job on upload_job.id = upload_file.job_id
    where upload_job.collection_id = %(collection_id)s and upload_file.uri = any(%(uris)s)
        and upload_file.stored_at is not null and upload_file.error_code is null
    order by upload_file.uri, upload_file.stored_at desc
) as pending
where not exists (
    select from document
    where document.collection_id = %(collection_id)s and document.uri = pending.uri
        and (document.deleted_at is null or document.deleted_at >= pending.stored_at))

-- name: drop_waiting
-- Uploads to an address that were deleted before anyone looked at them.
update upload_file set error_code = %(code)s, error_reason = %(reason)s
from upload_job
where upload_job.id = upload_file.job_id and upload_job.collection_id = %(collection_id)s
    and upload_file.uri = %(uri)s
    and upload_file.stored_at is not null and upload_file.error_code is null
    and not exists (
        select from document
        where document.collection_id = %(collection_id)s and document.uri = %(uri)s
            and (document.deleted_at is null or document.deleted_at >= upload_file.stored_at))

-- name: served_names
-- File names of the served documents of a collection, in order.
select regexp_replace(document.uri, '^.*/', '') as filename
from collection
join publication on publication.generation_id = collection.live_generation_id
join document on document.id = publication.document_id
where collection.id = %(collection_id)s and document.deleted_at is null
    and (%(sees_all)s or document.principals is null
        or document.principals && %(principals)s::text[])
order by filename, document.uri

-- name: served_files
-- A page of the served documents of a collection by file name, with the beginning of their text. No
-- text is read of documents on other pages.
select page.document_id, page.filename, left(parsed.text, %(characters)s) as text
from (
    select document.id as document_id, document.uri, publication.chunk_set_id,
        regexp_replace(document.uri, '^.*/', '') as filename
    from collection
    join publication on publication.generation_id = collection.live_generation_id
    join document on document.id = publication.document_id
    where collection.id = %(collection_id)s and document.deleted_at is null
        and (%(sees_all)s or document.principals is null
            or document.principals && %(principals)s::text[])
        and (%(filename)s::text is null
            or regexp_replace(document.uri, '^.*/', '') = %(filename)s)
    order by filename, document.uri
    limit %(limit)s offset %(skip)s
) as page
join chunk_set on chunk_set.id = page.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
order by page.filename, page.uri

-- name: served_chunks
-- Served passages of a collection or of one of its files, in order.
select
    regexp_replace(document.uri, '^.*/', '') as filename, document.uri,
    chunk.ordinal, chunk.text, chunk.page_first, chunk.page_last, document.id as document_id,
    document.id || '-' || chunk.ordinal as id,
    case when %(with_vectors)s then search_row.vector::vector::float4[] end as vector
from collection
join search_row on search_row.generation_id = collection.live_generation_id
join document on document.id = search_row.document_id
join chunk on chunk.chunk_set_id = search_row.chunk_set_id
    and chunk.ordinal = search_row.ordinal
where collection.id = %(collection_id)s
    and (%(sees_all)s or document.principals is null
        or document.principals && %(principals)s::text[])
    and (%(filename)s::text is null
        or regexp_replace(document.uri, '^.*/', '') = %(filename)s)
order by filename, document.uri, chunk.ordinal
limit %(limit)s offset %(skip)s

-- name: documents_named
-- Documents of a collection that are not deleted and that the principals may see, by file name.
select document.id, document.uri, document.shard
from document
where document.collection_id = %(collection_id)s and document.deleted_at is null
    and (%(sees_all)s or document.principals is null
        or document.principals && %(principals)s::text[])
    and regexp_replace(document.uri, '^.*/', '') = %(filename)s
order by document.id

-- name: counts
-- Documents of all collections by state, and how long the oldest pending one waits.
select
    document_status.state, count(*) as documents,
    coalesce(extract(epoch from now() - min(document_version.registered_at)), 0)::float8
        as oldest_s
from document_status
left join document_version on document_version.id = document_status.version_id
group by document_status.state

-- name: backlog
-- Changes that events named and no run has looked at, and how long ago the source that was looked at
-- least was listed completely.
select
    (select count(*) from hint) as hints,
    (select coalesce(extract(epoch from now() - min(listed_at)), 0)::float8 from source)
        as oldest_look_s
