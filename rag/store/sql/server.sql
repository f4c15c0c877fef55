-- name: version
-- The server's version.
select current_setting('server_version') as version

-- name: pgvector
-- The extension as it can be had and as it is; no row when the server has none.
select default_version, installed_version from pg_available_extensions where name = 'vector'

-- name: role
-- What our role may do.
select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user

-- name: languages
-- The text search configurations the server knows.
select cfgname from pg_ts_config order by 1

-- name: is_migrated
-- Whether any migration was ever applied.
select to_regclass('alembic_version') is not null as known

-- name: revision
-- The revision the schema is at.
select version_num from alembic_version

-- name: is_dagster_database
-- Whether Dagster has made its tables here.
select to_regclass('daemon_heartbeats') is not null as known

-- name: daemon_silence
-- Seconds since Dagster's daemon was last heard; null when it never was.
select extract(epoch from now() at time zone 'utc' - max(timestamp))::float8 as age
from daemon_heartbeats

-- name: count_runs
-- The runs on Dagster's record.
select count(*) as runs from runs
