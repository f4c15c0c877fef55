-- name: known_lists
-- The access lists of a source, as they were read last.
select uri, etag from access_list where source_id = %(source_id)s

-- name: erased
-- Of these documents, those that were erased on request.
select item.uri from unnest(%(uris)s::text[]) as item (uri)
join erasure on erasure.collection_id = %(collection_id)s
    and erasure.uri_hash = sha256(convert_to(item.uri, 'UTF8'))

-- name: set_list
-- What the object beside a document says now.
insert into access_list (source_id, uri, etag, principals)
values (%(source_id)s, %(uri)s, %(etag)s, %(principals)s)
on conflict (source_id, uri) do update
    set etag = excluded.etag, principals = excluded.principals

-- name: hide_unless_listed
-- A list whose object could not be read: its document is hidden, unless an older list is known.
insert into access_list (source_id, uri, etag, principals)
values (%(source_id)s, %(uri)s, '', '{}') on conflict (source_id, uri) do nothing

-- name: drop_lists
-- Objects beside documents that are gone: those documents are everyone's again.
delete from access_list where source_id = %(source_id)s and uri = any(%(uris)s)

-- name: enforce
-- Give every document of the collection's shard its access list; what is attached to a document is
-- for those who may see the document. Nothing is looked at in a collection without lists.
with recursive concerned as (
    select %(collection_id)s::int as id
    where exists (
        select from access_list join source on source.id = access_list.source_id
        where source.collection_id = %(collection_id)s)
    or exists (
        select from document
        where collection_id = %(collection_id)s and principals is not null)
), wanted as (
    select document.id, access_list.principals
    from concerned
    join document on document.collection_id = concerned.id and document.shard = %(shard)s
    left join access_list on access_list.source_id = document.source_id
        and access_list.uri = document.uri
    where document.parent_id is null
    union all
    select document.id, wanted.principals
    from wanted join document on document.parent_id = wanted.id
)
update document set principals = wanted.principals
from wanted
where document.id = wanted.id and document.principals is distinct from wanted.principals
