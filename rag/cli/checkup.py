"""The checks of `rag doctor` that need no server: settings, folder, programs, parser, embedding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.cli.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from rag.settings import Settings

_PACKAGES = ("rag-assets", "dagster", "docling-slim", "torch", "openvino", "psycopg", "boto3")
_ENOUGH_BYTES = 2 * 1024**3


def programs() -> Iterator[Finding]:
    """Python and the packages that decide behaviour."""
    import platform
    from importlib import metadata

    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            if package != "rag-assets":  # a checkout that is not installed still runs
                yield fail("packages", f"{package} is missing", "run `make` or pip install again")
    yield ok("packages", f"Python {platform.python_version()}, {', '.join(versions)}")


def configuration(settings: Settings) -> Iterator[Finding]:
    """Where settings come from, and variables that look like settings and are none."""
    from rag.cli.provenance import settings_in_force, strangers

    rows = [row for row in settings_in_force(settings) if row.source != "default"]
    names = ", ".join(f"{row.name} ({row.source})" for row in rows)
    yield ok("settings", names or "all at their defaults")
    for name in strangers():
        yield warn(
            "settings", f"{name} is no setting", "correct its name; docs/settings.md has them all"
        )


def folder(settings: Settings) -> Iterator[Finding]:
    """The folder of the platform can be written to and has room."""
    import shutil

    from rag.stack.folder import ensure_folder

    home = ensure_folder(settings.home.resolve(), 0o755)
    free = shutil.disk_usage(home).free
    detail = f"{home}, {free / 1024**3:.1f} GiB free"
    if free < _ENOUGH_BYTES:
        yield warn("folder", detail, "make room, or set RAG_HOME to a larger disk")
    else:
        yield ok("folder", detail)


def parser(settings: Settings) -> Iterator[Finding]:
    """Which way PDFs are read, whether scans and pictures are, and how to get the other way."""
    import shutil

    from rag.parse.pdf_layout import missing_models

    if settings.layout_models is None:
        advice = "for layout models: pip install 'rag-assets[layout]', then set RAG_LAYOUT_MODELS"
        yield ok("parser", f"docling's native PDF text with our own assembly ({advice})")
    elif lacking := missing_models(settings.layout_models):
        detail = f"no {' and no '.join(lacking)} in {settings.layout_models}"
        advice = "docling-tools models download -o FOLDER, or unset RAG_LAYOUT_MODELS"
        yield warn("parser", f"layout models are missing, no PDF will be read: {detail}", advice)
    else:
        yield ok("parser", f"docling with the layout models in {settings.layout_models}")
    if settings.caption_base_url is None:
        yield ok("captions", "pictures by their alternative texts only (RAG_CAPTION_BASE_URL)")
    else:
        yield ok("captions", f"{settings.caption_model} at {settings.caption_base_url}")
    if settings.ocr == "off":
        yield ok("ocr", "off (RAG_OCR)")
    elif shutil.which("tesseract"):
        yield ok("ocr", f"Tesseract, {settings.ocr_languages}")
    else:
        missing = "Tesseract is not installed: scanned pages stay without text"
        yield warn("ocr", missing, "install tesseract-ocr, or set RAG_OCR=off")


def executor(settings: Settings) -> Iterator[Finding]:
    """Where files are parsed and texts embedded."""
    from rag.scale.executor import cluster_of

    cluster = cluster_of(settings)
    if cluster is None:
        yield ok("executor", "local: parsing and embedding in processes of this machine")
        return
    version, place = cluster.look()
    yield ok("executor", f"Ray {version}, {place}")


def embedding(settings: Settings) -> Iterator[Finding]:
    """The engine that computes vectors, and why not the fast one."""
    import time

    from rag.cli.backend import load_embedder

    engine = load_embedder(settings)
    started = time.perf_counter()
    engine.embed(["warm"])
    seconds = time.perf_counter() - started
    name = getattr(engine, "engine", "custom")
    arithmetic = getattr(engine, "arithmetic", "")
    reason = getattr(engine, "fallback_reason", None)
    detail = f"{settings.embedding_model} on {name} {arithmetic}, loaded in {seconds:.1f} s"
    if reason:
        advice = "embedding is slower; vectors are the same"
        yield warn("embedding", f"{detail}; not OpenVINO because: {reason}", advice)
    else:
        yield ok("embedding", detail)


def ports(settings: Settings) -> Iterator[Finding]:
    """The ports of the Dagster UI and of the web page are free, or ours."""
    from rag.stack.endpoints import running_endpoints

    running = running_endpoints(settings.home.resolve())
    if running is not None:
        page = f"; web page {running.api_url}" if running.api_url else ""
        yield ok("ports", f"the stack runs: {running.dagster_url}{page}")
        return
    yield _port(settings.dagster_port, "the Dagster UI", "RAG_DAGSTER_PORT")
    yield _port(settings.api_port, "the web page and HTTP service", "RAG_API_PORT")


def _port(port: int, purpose: str, setting: str) -> Finding:
    from rag.stack.loopback import is_free

    if port and not is_free(port):
        advice = f"end it, or set {setting} (0 takes a free one)"
        return warn("ports", f"port {port} for {purpose} is in use by another program", advice)
    return ok("ports", f"{port or 'any free one'} for {purpose}")


def page() -> Finding:
    """The web page is part of the installation."""
    from rag.api.page_routes import missing

    lost = missing()
    if lost:
        return fail("web page", f"missing: {', '.join(lost)}", "install rag-assets again")
    return ok("web page", "installed; `rag up` or `rag serve` serves it")


def answers(settings: Settings) -> Iterator[Finding]:
    """Who writes answers."""
    from rag.cli.provenance import without_password
    from rag.llm import open_model

    if open_model(settings) is None:
        advice = "a model of your own: RAG_LLM_BASE_URL and RAG_LLM_MODEL"
        yield ok("answers", f"the best sentences, without a language model ({advice})")
    else:
        yield ok(
            "answers", f"{settings.llm_model} at {without_password(settings.llm_base_url or '')}"
        )
