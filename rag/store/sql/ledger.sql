-- name: claim
-- Claim versions for one stage: attempts are counted before the work starts. A version held by a
-- worker that is there and whose heartbeat is younger than lease_s is left to it.
insert into lease (version_id, stage, owner, attempts, beat_at)
select document_version.id, %(stage)s, %(owner)s, 1, now()
from document_version
where document_version.id = any(%(ids)s)
order by document_version.id
for key share
on conflict (version_id, stage) do update
    set owner = excluded.owner, attempts = lease.attempts + 1, beat_at = now()
    where lease.owner is null
        or lease.beat_at < now() - make_interval(secs => %(lease_s)s)
        or (lease.owner <> %(owner)s
            and pg_try_advisory_xact_lock(hashtextextended(lease.owner::text, 0)))
returning version_id, attempts

-- name: be_there
-- A lock that lives as long as the worker's connection: whoever can take it knows that the worker
-- is gone, and need not wait for its heartbeat to lapse.
select pg_advisory_lock(hashtextextended(%(owner)s::text, 0))

-- name: be_gone
-- The worker's work is over.
select pg_advisory_unlock(hashtextextended(%(owner)s::text, 0))

-- name: beat
-- The owner is alive: its claims stay its own.
update lease set beat_at = now() where owner = %(owner)s

-- name: complete
-- The work on these versions ended well: no claim, no count of attempts.
delete from lease where version_id = any(%(ids)s) and stage = %(stage)s

-- name: release
-- Give claims back; `refund` takes the counted attempt back when the document was not to blame.
update lease set owner = null, beat_at = null, attempts = greatest(0, attempts - %(refund)s)
where version_id = any(%(ids)s) and stage = %(stage)s and owner = %(owner)s

-- name: file_dead_letter
-- Record a failure: one open letter per document and stage, its latest reason.
insert into dead_letter
    (document_id, version_id, stage, fingerprint, kind, code, reason, attempts, next_retry_at)
select
    document.id, %(version_id)s, %(stage)s, %(fingerprint)s, %(kind)s, %(code)s, %(reason)s,
    %(attempts)s, now() + make_interval(secs => %(retry_in_s)s)
from document where document.id = %(document_id)s
for key share
on conflict (document_id, stage) where resolved_at is null do update set
    version_id = excluded.version_id, fingerprint = excluded.fingerprint, kind = excluded.kind,
    code = excluded.code, reason = excluded.reason, attempts = excluded.attempts,
    last_failed_at = now(), next_retry_at = excluded.next_retry_at

-- name: attempts_so_far
-- Tries already counted against the open letters of these documents at one stage.
select document_id, fingerprint, code, attempts from dead_letter
where document_id = any(%(ids)s) and stage = %(stage)s and resolved_at is null

-- name: resolve
-- The stage went well for these documents: their letters are closed.
update dead_letter set resolved_at = now()
where document_id = any(%(ids)s) and stage = any(%(stages)s) and resolved_at is null

-- name: retry
-- An operator wants another try now: open letters are closed and their counts forgotten, objects
-- that could not be fetched look new again, and texts that lack descriptions of pictures are parsed
-- anew; they serve until then.
with closed as (
    update dead_letter set resolved_at = now()
    from document
    where document.id = dead_letter.document_id and document.collection_id = %(collection_id)s
        and dead_letter.resolved_at is null
        and (%(uri)s::text is null or document.uri = %(uri)s)
    returning dead_letter.document_id, dead_letter.version_id, dead_letter.stage
), forgotten as (
    delete from lease using closed
    where lease.version_id = closed.version_id and lease.stage = closed.stage
), unlooked as (
    update document set etag = null from closed
    where document.id = closed.document_id and closed.stage = 'fetch'
), incomplete as (
    update parsed set superseded_at = now()
    from collection
    join document on document.collection_id = collection.id
    join document_version on document_version.id = document.version_id
    where collection.id = %(collection_id)s and document.deleted_at is null
        and (%(uri)s::text is null or document.uri = %(uri)s)
        and parsed.namespace_id = collection.namespace_id
        and parsed.content_hash = document_version.content_hash
        and parsed.metadata ? 'captions_missing' and parsed.superseded_at is null
    returning parsed.id
)
select (select count(*) from closed) + (select count(*) from incomplete) as letters

-- name: open_letters
-- What failed and why, newest first.
select document.uri, dead_letter.stage, dead_letter.kind, dead_letter.code, dead_letter.reason,
    dead_letter.attempts, dead_letter.last_failed_at, dead_letter.next_retry_at
from dead_letter join document on document.id = dead_letter.document_id
where document.collection_id = %(collection_id)s and document.shard = any(%(shards)s)
    and dead_letter.resolved_at is null
order by dead_letter.last_failed_at desc, document.uri

-- name: record_stage
-- What one stage of one run did.
insert into stage_run (collection_id, shard, stage, run_id, counts, seconds)
values (%(collection_id)s, %(shard)s, %(stage)s, %(run_id)s, %(counts)s, %(seconds)s)

-- name: stages_of_run
-- The stages of one run, in order.
select stage, shard, counts, seconds, ended_at from stage_run
where run_id = %(run_id)s order by id
