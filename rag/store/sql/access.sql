-- name: create_key
-- Keep a new key by its hash.
insert into api_key (prefix, key_hash, namespace_id, collections, role, expires_at, principals)
values (%(prefix)s, %(key_hash)s, %(namespace_id)s, %(collections)s, %(role)s, %(expires_at)s,
    %(principals)s)

-- name: list_keys
-- All keys, newest first; never their hashes.
select
    api_key.prefix, namespace.name as namespace, api_key.collections, api_key.role,
    coalesce(api_key.principals, '{}') as principals,
    api_key.created_at, api_key.expires_at, api_key.revoked_at, api_key.last_used_at,
    case
        when api_key.revoked_at is not null then 'revoked'
        when api_key.expires_at <= now() then 'expired'
        else 'active'
    end as state
from api_key left join namespace on namespace.id = api_key.namespace_id
order by api_key.id desc

-- name: revoke_key
-- The key opens nothing from now on; a repeat changes nothing.
update api_key set revoked_at = coalesce(revoked_at, now()) where prefix = %(prefix)s
returning prefix

-- name: any_key
-- Whether a key was ever made: from then on nobody comes in without one.
select exists (select from api_key) as is_guarded

-- name: key_by_prefix
-- The key of that prefix while it is valid.
select api_key.id, api_key.key_hash, namespace.name as namespace, api_key.collections,
    api_key.role, api_key.principals,
    coalesce(api_key.last_used_at < now() - interval '1 minute', true) as is_newly_used
from api_key left join namespace on namespace.id = api_key.namespace_id
where api_key.prefix = %(prefix)s and api_key.revoked_at is null
    and (api_key.expires_at is null or api_key.expires_at > now())

-- name: touch_key
-- When a key was last used, to the minute.
update api_key set last_used_at = now() where id = %(id)s

-- name: can_read_as_reader
-- Whether this server has the reader's role, we may take it, it is as harmless as it must be, and it
-- was granted all that is read for callers (the view came last, and takes Postgres 15).
select exists (
    select from pg_roles
    where rolname = 'rag_reader' and not rolsuper and not rolbypassrls
        and pg_has_role(current_user, oid, 'member')
        and has_table_privilege(oid, to_regclass('document_status'), 'select')) as is_possible

-- name: become_reader
-- For the rest of this transaction: the reader's role, limited to one namespace.
select
    set_config('role', 'rag_reader', true), set_config('rag.namespace', %(namespace)s, true)
