"""One setting chooses where files are parsed and texts embedded; Ray is needed only when chosen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.cli import checkup
from rag.cli.finding import Level, findings_of
from rag.embed.engine import EmbeddingEngine
from rag.errors import ConfigurationError
from rag.parse.configuration import parser_parts
from rag.parse.pool import DoclingParser
from rag.scale.cluster import Cluster
from rag.scale.embedder import RayEmbedder, slice_size
from rag.scale.executor import cluster_of, open_document_embedder, open_parser
from rag.scale.parser import RayParser
from rag.settings import Settings
from resources.embedder import EmbedderResource, _embedder
from resources.parser import ParserResource, _parser

RAY = Settings(executor="ray", ray_address="10.0.0.5:6379", parse_workers=3)


@pytest.fixture
def fresh_resources() -> Iterator[None]:
    yield
    for cached in (_parser, _embedder):
        cached.cache_clear()


def test_work_stays_here_unless_the_setting_says_otherwise(tmp_path: Path) -> None:
    settings = Settings()
    assert cluster_of(settings) is None
    with open_parser(parser_parts(settings), 1, None) as parser:
        assert isinstance(parser, DoclingParser)
    embedder = open_document_embedder(settings.embedding_model, "bf16", tmp_path, None)
    assert isinstance(embedder, EmbeddingEngine)


def test_the_setting_chooses_the_cluster_and_changes_no_fingerprint(tmp_path: Path) -> None:
    cluster = cluster_of(RAY)
    assert cluster == Cluster("10.0.0.5:6379", 3)
    parser = open_parser(parser_parts(RAY), 1, cluster)
    assert isinstance(parser, RayParser)
    with open_parser(parser_parts(Settings()), 1, None) as here:
        assert parser.config == here.config
    parser.close()
    model = RAY.embedding_model
    embedder = open_document_embedder(model, "bf16", tmp_path, cluster)
    assert isinstance(embedder, RayEmbedder)
    assert embedder.config == open_document_embedder(model, "bf16", tmp_path, None).config


@pytest.mark.usefixtures("fresh_resources")
def test_the_graph_works_where_the_setting_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_EXECUTOR", "ray")
    assert isinstance(ParserResource().parser(), RayParser)
    assert isinstance(EmbedderResource().embedder(), RayEmbedder)
    monkeypatch.setenv("RAG_EXECUTOR", "local")
    assert isinstance(ParserResource().parser(), DoclingParser)
    assert isinstance(EmbedderResource().embedder(), EmbeddingEngine)


def test_a_cluster_without_ray_installed_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rag-assets\[ray\]'") as caught:
        Cluster().join()
    assert caught.value.code == "ray_missing"


def test_the_doctor_says_which_executor_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = checkup.executor(Settings())
    assert (found.level, found.detail[:6]) == (Level.OK, "local:")
    monkeypatch.setitem(sys.modules, "ray", None)
    (found,) = findings_of("executor", lambda: checkup.executor(RAY))
    assert found.level is Level.FAIL
    assert "ray_missing" in found.detail


@pytest.mark.slow
def test_the_doctor_finds_a_cluster_where_nobody_listens() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: rag-assets[ray]")
    (found,) = checkup.executor(Settings(executor="ray"))
    assert found.level is Level.OK
    assert "a cluster of its own" in found.detail
    absent = Settings(executor="ray", ray_address="127.0.0.1:9")
    (found,) = findings_of("executor", lambda: checkup.executor(absent))
    assert found.level is Level.FAIL
    assert "nobody listens at 127.0.0.1:9" in found.detail


@pytest.mark.parametrize(
    ("texts", "engines", "size"),
    [(1, 1, 16), (100, 2, 16), (1000, 1, 128), (1000, 4, 63), (9000, 4, 128), (50, 0, 16)],
)
def test_every_engine_gets_texts_and_no_call_is_tiny(texts: int, engines: int, size: int) -> None:
    assert slice_size(texts, engines) == size


@pytest.mark.slow
def test_choosing_the_executor_imports_no_ray() -> None:
    code = "import sys, rag.scale.executor, rag.scale.parser, rag.scale.embedder as e; "
    code += "print({'ray', 'torch', 'docling'} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "set()"
