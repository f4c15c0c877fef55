"""What people type, and which adapter reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import ConfigurationError
from rag.settings import Settings
from rag.sources.folder import FolderSource
from rag.sources.open import normalise_uri, open_source
from rag.sources.s3 import S3Source


@pytest.mark.parametrize(
    ("typed", "uri"),
    [
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/", "s3://bucket/"),
        ("S3://bucket/docs", "s3://bucket/docs/"),
        (" s3://bucket/docs/ ", "s3://bucket/docs/"),
        ("s3://bucket/v1.2", "s3://bucket/v1.2/"),
        ("s3://bucket/.hidden", "s3://bucket/.hidden/"),
        ("s3://bucket/docs/a.pdf", "s3://bucket/docs/a.pdf"),
        ("s3://bucket//a b%", "s3://bucket//a b%/"),
        ("/", "file:///"),
        ("/none/docs", "file:///none/docs/"),
        ("/none/docs/", "file:///none/docs/"),
        ("/none/../other", "file:///other/"),
        ("/none/a.pdf", "file:///none/a.pdf"),
        ("/none/a.pdf/", "file:///none/a.pdf/"),
        ("/none/100% ü", "file:///none/100%25 ü/"),
        ("file:///none/a%20b", "file:///none/a b/"),
        ("file:/none", "file:///none/"),
        ("file://localhost/none", "file:///none/"),
    ],
)
def test_what_is_typed_has_one_address(typed: str, uri: str) -> None:
    assert normalise_uri(typed) == uri
    assert normalise_uri(uri) == uri


def test_relative_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "docs.d").mkdir()
    (tmp_path / "README").write_text("text")
    here = Path.cwd()
    assert normalise_uri("docs.d") == f"file://{here}/docs.d/"
    assert normalise_uri("./docs.d/../docs.d") == f"file://{here}/docs.d/"
    assert normalise_uri("README") == f"file://{here}/README"
    assert normalise_uri("~/docs.d") == f"file://{tmp_path}/docs.d/"
    assert normalise_uri(".") == f"file://{here}/"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("ftp://host/docs", "unknown_source"),
        ("https://host/docs", "unknown_source"),
        ("s3://", "bad_source"),
        ("file://docs", "bad_source"),
        ("", "bad_source"),
    ],
)
def test_what_can_not_be_read_is_refused(typed: str, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalise_uri(typed)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("uri", "kind"), [("s3://bucket/docs/", S3Source), ("file:///docs/", FolderSource)]
)
def test_the_scheme_chooses_the_adapter(uri: str, kind: type) -> None:
    source = open_source(uri, Settings(s3_endpoint_url="http://127.0.0.1:9"))
    assert isinstance(source, kind)
    assert source.uri == uri


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket") as caught:
        open_source("ftp://host/docs/", Settings())
    assert caught.value.code == "unknown_source"


@pytest.mark.parametrize("name", ["RAG_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_endpoint_comes_from_the_environment_of_the_stack(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:12345")
    source = open_source("s3://bucket/", Settings())
    assert isinstance(source, S3Source)
    client = source._client
    assert client.meta.endpoint_url == "http://127.0.0.1:12345"
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.read_timeout <= 30
    assert client.meta.config.retries["mode"] == "standard"
    assert client.meta.config.max_pool_connections >= 16
