"""Servers that are not there and settings that are wrong: one clear line, never a traceback."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest

from rag.stack.loopback import HOST, free_port


def assert_is_one_clear_line(answer, code: str) -> None:
    assert answer.code == 1
    assert answer.json["code"] == code
    *notes, line = answer.err.splitlines()
    assert line.startswith("Cannot proceed: ")
    assert len(notes) <= 1  # `demo` says what it begins with
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["migrate"],
        ["up"],
        ["demo"],
        ["search", "a/b", "words"],
        ["ingest", "-c", "a/b"],
    ],
    ids=lambda words: words[0],
)
def test_postgres_that_does_not_answer(rag, monkeypatch, command):
    monkeypatch.setenv("RAG_DATABASE_URL", f"postgresql://me:pass@{HOST}:{free_port()}/db")

    assert_is_one_clear_line(rag(*command, "--json"), "database_unreachable")


def test_wrong_password_is_named_and_not_shown(rag, postgres_server, monkeypatch):
    parts = urlsplit(postgres_server)
    wrong = parts._replace(netloc=f"{parts.username}:wr0ng@{HOST}:{parts.port}")
    monkeypatch.setenv("RAG_DATABASE_URL", urlunsplit(wrong))

    answer = rag("status", "--json")

    assert_is_one_clear_line(answer, "database_refused")
    assert "wr0ng" not in answer.err + answer.out


@pytest.mark.parametrize(
    ("variables", "code", "named"),
    [
        ({"RAG_CHUNK_SIZE": "many"}, "bad_setting", "RAG_CHUNK_SIZE"),
        ({"RAG_EMBEDDING_PRECISION": "int3"}, "bad_setting", "RAG_EMBEDDING_PRECISION"),
        ({"RAG_CONFIG": "none.toml"}, "config_file_missing", "none.toml"),
    ],
)
def test_wrong_setting_is_named(rag, monkeypatch, variables, code, named):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    answer = rag("status", "--json")

    assert_is_one_clear_line(answer, code)
    assert named in answer.err


def test_port_in_use(rag_with_database, monkeypatch):
    import socket

    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        monkeypatch.setenv("RAG_DAGSTER_PORT", str(taken.getsockname()[1]))

        answer = rag_with_database("up", "--json")

    assert_is_one_clear_line(answer, "port_in_use")
    assert "RAG_DAGSTER_PORT" in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "ingest"])
def test_object_store_that_does_not_answer(rag_with_database, monkeypatch, command):
    monkeypatch.setenv("RAG_S3_ENDPOINT_URL", f"http://{HOST}:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    rag_with_database("collection", "create", "a/b", "--source", "s3://bucket/prefix/")
    words = ["plan", "a/b"] if command == "plan" else ["ingest", "-c", "a/b"]

    assert_is_one_clear_line(rag_with_database(*words, "--json"), "s3_unreachable")


@pytest.mark.slow
def test_bucket_that_does_not_exist_is_not_bound(rag_with_database, s3_server, monkeypatch):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)

    answer = rag_with_database("ingest", "s3://no-such-bucket/x/", "-c", "a/b", "--json")

    assert_is_one_clear_line(answer, "bucket_not_found")
    assert rag_with_database("collection", "list", "--json").json["collections"] == []
