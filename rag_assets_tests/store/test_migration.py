"""Migrations and schema.sql must describe the same database."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from rag.errors import ConfigurationError, UnavailableError
from rag.store.migration import migrate

CATALOG = """
select 'column', table_name, column_name, data_type || ' ' || is_nullable || ' '
    || coalesce(column_default, '') || ' ' || ordinal_position
from information_schema.columns where table_schema = 'public'
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'view', viewname, '', definition from pg_views where schemaname = 'public'
union all
select 'option', relname, '', reloptions::text from pg_class
where relnamespace = 'public'::regnamespace and reloptions is not null
union all
select 'policy', tablename, policyname, roles::text || ' ' || cmd || ' ' || qual
from pg_policies where schemaname = 'public'
union all
select 'row security', relname, '', '' from pg_class
where relnamespace = 'public'::regnamespace and relrowsecurity
union all
select 'grant', table_name, privilege_type, grantee from information_schema.role_table_grants
where table_schema = 'public' and grantee = 'rag_reader'
order by 1, 2, 3, 4
"""


def catalog(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as conn:
        rows = conn.execute(CATALOG).fetchall()
    return [row for row in rows if row[1] != "alembic_version"]


def test_the_sum_of_migrations_equals_the_schema(database_url: str, empty_database: str) -> None:
    schema = (files("rag.store") / "schema.sql").read_text(encoding="utf-8")
    with psycopg.connect(empty_database) as conn:
        conn.execute(schema.encode())
    migrated = catalog(database_url)
    assert len(migrated) > 100
    assert migrated == catalog(empty_database)


def test_migrating_twice_changes_nothing(empty_database: str) -> None:
    versions = sorted(Path("migrations/versions").glob("*.py"))
    assert len(versions) > 1
    assert migrate(empty_database) == [file.name.split("_")[0] for file in versions]
    assert migrate(empty_database) == []


def test_an_unreachable_server_is_named_in_one_line() -> None:
    with pytest.raises(UnavailableError, match="RAG_DATABASE_URL") as caught:
        migrate("postgresql://nobody@127.0.0.1:1/none")
    assert caught.value.code == "database_unreachable"
    assert "\n" not in caught.value.message


def test_a_database_of_newer_code_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigurationError) as caught:
        migrate(database_url)
    assert caught.value.code == "schema_too_new"
