-- name: clock
-- The server's clock, against which looks are ordered.
select clock_timestamp() as now

-- name: create_listing
-- A place for one listing. A source may name an object twice: what it says last counts. Other
-- shards' objects are only there to tell what vanished from the whole source.
create temporary table if not exists listing (
    place bigint generated always as identity, uri text, etag text, object_version text,
    size_bytes bigint, modified_at timestamptz, is_ours boolean
)

-- name: create_difference
-- A place for what the looks of this session found, by source.
create temporary table if not exists difference (
    source_id bigint, place bigint, change text, uri text, etag text, object_version text,
    size_bytes bigint, modified_at timestamptz, document_id bigint, primary key (source_id, place)
)

-- name: clear_listing
-- The listing was compared, or ended half-way.
truncate listing

-- name: clear_differences
-- What an earlier look at the source found.
delete from difference where source_id = %(source_id)s

-- name: copy_listing
-- Load the listing in one stream.
copy listing (uri, etag, object_version, size_bytes, modified_at, is_ours) from stdin

-- name: count_listed
-- How many objects of ours the listing names.
select count(distinct uri) as objects from listing where is_ours

-- name: insert_differences
-- What differs between the listing and the manifest of one shard, a row per object, by kind and
-- name. 'waiting' is an object that could not be fetched, has not changed, and is not due for
-- another try. 'elsewhere' is one that vanished and is another shard's to delete. One that was
-- missing and is back is 'touched', so that its absence is forgotten. What was looked at or deleted
-- after this listing began is newer than the listing and left alone. Attachments, which no listing
-- names, never vanish. Documents erased on request are not seen again.
insert into difference
with named as (
    select distinct on (uri) uri, etag, object_version, size_bytes, modified_at, is_ours
    from listing
    where not exists (
        select from erasure where erasure.collection_id = %(collection_id)s
            and erasure.uri_hash = sha256(convert_to(listing.uri, 'UTF8')))
    order by uri, place desc
), found as (
select
    listing.uri, listing.etag, listing.object_version, listing.size_bytes, listing.modified_at,
    document.id as document_id,
    case
        when failed.id is not null and failed.fingerprint = coalesce(listing.etag, '')
            and (failed.next_retry_at is null or failed.next_retry_at > now()) then 'waiting'
        when document.version_id is null or document.deleted_at is not null then 'new'
        when document.etag is distinct from listing.etag
            or document.object_version is distinct from listing.object_version
            or document.size_bytes is distinct from listing.size_bytes then 'changed'
        else 'touched'
    end as change
from named as listing
left join document on document.source_id = %(source_id)s and document.uri = listing.uri
left join dead_letter as failed
    on failed.document_id = document.id and failed.stage = 'fetch' and failed.resolved_at is null
where listing.is_ours and (document.id is null
    or greatest(document.looked_at, document.deleted_at) <= %(listed_at)s and (
        document.deleted_at is not null
        or document.missing_since is not null
        or failed.id is not null
        or (document.etag, document.object_version, document.size_bytes, document.modified_at)
            is distinct from
            (listing.etag, listing.object_version, listing.size_bytes, listing.modified_at)))
union all
select
    document.uri, document.etag, document.object_version, document.size_bytes,
    document.modified_at, document.id,
    case when document.shard = any(%(shards)s) then 'vanished' else 'elsewhere' end
from document
where document.source_id = %(source_id)s
    and document.deleted_at is null and document.looked_at <= %(listed_at)s
    and document.parent_id is null
    and not exists (select from named where named.uri = document.uri)
)
select %(source_id)s, row_number() over (
        order by array_position(
            array['new', 'changed', 'touched', 'waiting', 'vanished', 'elsewhere'], change), uri),
    change, uri, etag, object_version, size_bytes, modified_at, document_id
from found

-- name: count_differences
-- How many of each kind, and where they begin.
select change, min(place) as first, count(*) as count from difference
where source_id = %(source_id)s group by change

-- name: differences
-- Some of them, in order.
select change, uri, etag, object_version, size_bytes, modified_at, document_id from difference
where source_id = %(source_id)s and place >= %(first)s and place < %(end)s
order by place

-- name: count_documents
-- Objects of one source, in all its shards, that are not deleted (attachments are none).
select count(*) as documents from document
where source_id = %(source_id)s and deleted_at is null and parent_id is null

-- name: upsert_documents
-- Make or revive the manifest rows of one batch; the look itself is recorded later.
insert into document (collection_id, source_id, shard, uri)
select %(collection_id)s, %(source_id)s, %(shard)s, item.uri
from unnest(%(uris)b::text[]) as item (uri)
on conflict (source_id, uri) do update
    set deleted_at = null, missing_since = null, parent_id = null
returning id, uri

-- name: insert_versions
-- A new version for each document of the batch whose content differs from its newest version.
insert into document_version
    (document_id, content_hash, etag, object_version, size_bytes, modified_at, run_id)
select
    document.id, item.content_hash, item.etag, item.object_version, item.size_bytes,
    item.modified_at, %(run_id)s
from unnest(
    %(uris)b::text[], %(hashes)b::bytea[], %(etags)b::text[], %(object_versions)b::text[],
    %(sizes)s::bigint[], %(modified)b::timestamptz[]
) as item (uri, content_hash, etag, object_version, size_bytes, modified_at)
join document on document.source_id = %(source_id)s and document.uri = item.uri
left join document_version as current on current.id = document.version_id
where current.content_hash is distinct from item.content_hash
returning document_id

-- name: record_look
-- Take over what the listing said of each document of the batch, and its newest version.
update document set
    etag = item.etag, object_version = item.object_version, size_bytes = item.size_bytes,
    modified_at = item.modified_at, missing_since = null, looked_at = clock_timestamp(),
    version_id = (
        select max(document_version.id) from document_version
        where document_version.document_id = document.id)
from unnest(
    %(uris)b::text[], %(etags)b::text[], %(object_versions)b::text[], %(sizes)s::bigint[],
    %(modified)b::timestamptz[]
) as item (uri, etag, object_version, size_bytes, modified_at)
where document.source_id = %(source_id)s and document.uri = item.uri

-- name: content_of_documents
-- The newest content hash of the named documents, to recognise renames. One whose newest version
-- is not served yet, or failed, keeps no name: its rows are of an older text.
select document.id, document_version.content_hash
from document join document_version on document_version.id = document.version_id
where document.id = any(%(ids)s)
    and not exists (
        select from publication
        join generation on generation.id = publication.generation_id and generation.state = 'live'
        where publication.document_id = document.id
            and publication.version_id <> document.version_id)

-- name: rename_documents
-- Vanished documents found again under other names keep their identity and all that hangs on it.
update document set uri = item.uri, missing_since = null, looked_at = clock_timestamp()
from unnest(%(ids)s::bigint[], %(uris)s::text[]) as item (id, uri)
where document.id = item.id

-- name: rename_attachments
-- What is attached to a renamed mail takes its new name, unless another document has that.
update document set uri = item.uri || substr(document.uri, length(mail.uri) + 1)
from unnest(%(ids)s::bigint[], %(uris)s::text[]) as item (id, uri)
join document as mail on mail.id = item.id
cross join lateral with_attachments(array[item.id]) as attached (id)
where document.id = attached.id and document.id <> mail.id
    and not exists (
        select from document as other
        where other.source_id = document.source_id
            and other.uri = item.uri || substr(document.uri, length(mail.uri) + 1))

-- name: still_vanished
-- Of these documents, those that no other writer has seen or deleted since the listing began.
select id from document
where id = any(%(ids)s) and deleted_at is null and looked_at <= %(listed_at)s

-- name: drop_placeholders
-- A renamed document takes the place of an older tombstone of the same name, or of a row that
-- never had content because its object could not be fetched.
delete from document
using unnest(%(ids)s::bigint[], %(uris)s::text[]) as item (id, uri)
where document.source_id = %(source_id)s and document.uri = item.uri and document.id <> item.id
    and (document.deleted_at is not null or document.version_id is null)

-- name: overtaken
-- Of these names, those looked at, deleted or erased after a listing began: the listing's word on
-- them is out of date (the compare of compare-and-set, under the shard's lock).
select document.uri from document
where document.source_id = %(source_id)s and document.uri = any(%(uris)b::text[])
    and greatest(document.looked_at, document.deleted_at) > %(listed_at)s
union
select item.uri from unnest(%(uris)b::text[]) as item (uri)
join erasure on erasure.collection_id = %(collection_id)s
    and erasure.uri_hash = sha256(convert_to(item.uri, 'UTF8'))

-- name: delete_documents
-- Tombstones: the documents leave search in the same transaction. What was seen again after the
-- listing began stays; what is attached to a mail goes with it. Those named are counted.
with gone as (
    update document set deleted_at = clock_timestamp(), unpacked_version_id = null
    where deleted_at is null and id in (select with_attachments(array(
        select id from document
        where id = any(%(ids)s) and deleted_at is null and looked_at <= %(listed_at)s)))
    returning id
), rows_gone as (
    delete from search_row where document_id in (select id from gone)
), publications_gone as (
    delete from publication where document_id in (select id from gone)
), letters_closed as (
    update dead_letter set resolved_at = now()
    where document_id in (select id from gone) and resolved_at is null
)
select count(*) as documents from gone where id = any(%(ids)s)

-- name: breaker
-- Since when deletions of the source are held back, if they are; nobody else decides on them
-- before this transaction ends.
select breaker_since from source where id = %(source_id)s for no key update

-- name: trip_breaker
-- Remember since when, and for how many documents, deletions are held back.
update source set
    breaker_since = coalesce(breaker_since, clock_timestamp()), breaker_documents = %(documents)s
where id = %(source_id)s

-- name: mark_missing
-- Documents a complete listing lacks, in whichever shard, and since when. A mark from before the
-- breaker tripped is of another time. What another writer has in hand is left to a later look.
update document set missing_since = clock_timestamp()
where id in (
    select document.id from document join source on source.id = document.source_id
    where document.id = any(%(ids)s) and document.deleted_at is null
        and document.looked_at <= %(listed_at)s
        and (document.missing_since is null or document.missing_since < source.breaker_since)
    for no key update of document skip locked)

-- name: clear_breaker
-- Nothing is held back any more, and nothing that was released is left to be deleted.
update source set breaker_since = null, breaker_documents = null, deletions_confirmed_at = null
where id = %(source_id)s

-- name: released
-- Documents that were missing before an operator confirmed, or long enough for a later complete
-- listing to confirm it. One that was not held back then is not among them.
select document.id, document.shard
from document join source on source.id = document.source_id
where source.id = %(source_id)s and document.deleted_at is null
    and document.missing_since >= source.breaker_since
    and (document.missing_since <= source.deletions_confirmed_at
        or document.missing_since < now() - make_interval(secs => %(confirm_s)s))

-- name: confirm_deletions
-- An operator lets the deletions of a collection through that are held back now.
with held as (
    select id, breaker_documents from source
    where collection_id = %(collection_id)s and breaker_documents > 0
    for no key update
)
update source set deletions_confirmed_at = clock_timestamp(), breaker_documents = 0
from held where source.id = held.id
returning source.uri, held.breaker_documents

-- name: listed
-- When the source was last listed to its end.
update source set listed_at = now() where id = %(source_id)s

-- name: lock_shard
-- One writer of a shard's manifest and publications at a time, for the length of a transaction.
select pg_advisory_xact_lock(%(collection_id)s, %(shard)s)

-- name: is_packed
-- Whether this is still the document's newest version and its attachments are not registered.
select id from document
where id = %(document_id)s and version_id = %(version_id)s and deleted_at is null
    and unpacked_version_id is distinct from version_id
for no key update

-- name: attachable
-- Of these names, those that a mail may give its attachments: none that was erased on request, and
-- none that an object of the source or another mail's attachment has.
select item.uri from unnest(%(uris)s::text[]) as item (uri)
where not exists (
        select from erasure
        where erasure.collection_id = %(collection_id)s
            and erasure.uri_hash = sha256(convert_to(item.uri, 'UTF8')))
    and not exists (
        select from document
        where document.source_id = %(source_id)s and document.uri = item.uri
            and document.deleted_at is null
            and document.parent_id is distinct from %(parent_id)s)

-- name: attach
-- Link these documents to their mail, and say that the mail is unpacked.
with linked as (
    update document set parent_id = %(parent_id)s where id = any(%(ids)s)
)
update document set unpacked_version_id = version_id where id = %(parent_id)s

-- name: dropped_attachments
-- What was attached to a mail and is not any more.
select id from document
where parent_id = %(parent_id)s and deleted_at is null and not id = any(%(ids)s)

-- name: containers
-- The mails a document is in, from the nearest one outward, with their newest versions.
with recursive chain as (
    select id, parent_id, 0 as height from document where id = %(id)s
    union all
    select document.id, document.parent_id, chain.height + 1
    from document join chain on document.id = chain.parent_id
)
select document.id as document_id, document.version_id, document.parent_id, document.uri,
    document.etag, document.object_version, document.size_bytes, document.modified_at,
    document_version.content_hash, source.uri as source_uri
from chain
join document on document.id = chain.id
join source on source.id = document.source_id
join document_version on document_version.id = document.version_id
where chain.height > 0
order by chain.height

-- name: count_with_attachments
-- How many live documents a document is together with all that is attached to it.
select count(*) as documents from document
where id in (select with_attachments(array[%(id)s::bigint])) and deleted_at is null
