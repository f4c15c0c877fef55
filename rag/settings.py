"""Every setting of the platform: one frozen object, from the environment and a file.

Sources, strongest first: environment variables `RAG_<NAME>`, the TOML file named by `RAG_CONFIG`
(default `rag.toml` in the working folder, when it exists), the defaults below. docs/settings.md is
generated from this module (`rag doctor --reference`), and a test compares the two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from rag.api_settings import ApiSettings
from rag.errors import ConfigurationError
from rag.model import MOST_DAYS, CollectionName
from rag.watch_settings import WatchSettings

MIB = 1024 * 1024
T = TypeVar("T")
LimitName = Literal["max_file_bytes", "max_pages", "parse_wall_s", "parse_memory_bytes"]


class CollectionLimits(NamedTuple):
    """What one file of a collection may cost."""

    max_file_bytes: int
    max_pages: int
    parse_wall_s: float
    parse_memory_bytes: int


class Settings(ApiSettings, WatchSettings):
    """What can be set, its default and its meaning."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_", frozen=True, extra="forbid", populate_by_name=True
    )

    home: Path = Field(
        Path(".rag"),
        description="Folder of the embedded servers' data, model cache, spool and logs.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL with pgvector 0.8 or newer, as postgresql://user:password@host/db. "
        "Unset: the platform starts its own PostgreSQL under `home`.",
    )
    dagster_database_url: SecretStr | None = Field(
        None,
        description="Dagster's own storage. Unset: database `dagster` on the same server.",
    )
    s3_endpoint_url: str | None = Field(
        None,
        description="S3-compatible endpoint; AWS credentials come from the usual AWS variables. "
        "Unset, and no AWS credentials in the environment: an embedded server under `home`.",
    )
    s3_region: str = Field("us-east-1", description="Region of the S3 endpoint.")
    dagster_port: int = Field(
        3000, ge=0, le=65535, description="Port of the Dagster UI on 127.0.0.1; 0 takes a free one."
    )
    sensor_interval_s: PositiveInt = Field(
        3, description="Seconds between two looks of the object-store sensor."
    )
    backfill_days: int = Field(
        360,
        ge=1,
        le=MOST_DAYS,
        description="How many days a backfill reaches back where it says nothing else.",
    )
    embedding_model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="A sentence-transformers model: the bundled default, a folder, or a hub name.",
    )
    embedding_precision: Literal["bf16", "fp32", "int8"] = Field(
        "bf16",
        description="Arithmetic of the embedding engine. bf16 ranks as fp32 does (agreement 0.99), "
        "int8 is looser (0.93), and faster where the processor multiplies no matrices of bf16.",
    )
    chunk_strategy: Literal["tokens", "recursive_chars", "heading_words", "docling_hybrid"] = Field(
        "tokens", description="How parsed text is cut into chunks."
    )
    chunk_size: PositiveInt = Field(
        256,
        description="Largest chunk, in the strategy's unit (tokens, characters or words). With "
        "tokens it includes the model's two special tokens and the prefix.",
    )
    chunk_overlap: int = Field(
        50, ge=0, description="Overlap of neighbouring chunks, in the strategy's unit."
    )
    chunk_prefix: Literal["none", "title", "headings"] = Field(
        "headings",
        description="What is put before a chunk's text when it is embedded: nothing, the "
        "document's title, or title and heading path.",
    )
    parse_workers: int = Field(
        0, ge=0, description="Parser processes at a time; 0 means one per processor core."
    )
    parse_wall_s: PositiveFloat = Field(
        120.0, description="Wall time a file may take to parse; 2 s per page are added."
    )
    parse_memory_bytes: PositiveInt = Field(
        2048 * MIB, description="Memory one parser process may use."
    )
    executor: Literal["local", "ray"] = Field(
        "local",
        description="Where files are parsed and texts embedded: in processes of this machine "
        "(local), or on a Ray cluster (ray, the extra rag-assets[ray]). The results are the same.",
    )
    ray_address: str | None = Field(
        None,
        description="The Ray cluster, such as 10.0.0.5:6379, or auto for the one this machine is "
        "part of. Unset: one of its own on this machine for each process, to try it out.",
    )
    layout_models: Path | None = Field(
        None,
        description="Folder with docling's layout and table models. Unset: PDFs are read by "
        "docling's native text with our own assembly.",
    )
    ocr: Literal["auto", "off", "tesseract"] = Field(
        "auto",
        description="Reading pages and images without text: with Tesseract where it is installed "
        "(auto), never (off), or always (an error where it is missing).",
    )
    ocr_languages: str = Field(
        "eng", description="Tesseract's languages, joined by '+', such as eng+deu."
    )
    caption_base_url: str | None = Field(
        None,
        description="OpenAI-compatible endpoint of a vision model that describes pictures, such as "
        "http://127.0.0.1:11434/v1. Unset: pictures are kept by their alternative texts only.",
    )
    caption_model: str | None = Field(
        None, description="The vision model's name; needed with `caption_base_url`."
    )
    caption_api_key: SecretStr | None = Field(
        None, description="Key of the caption endpoint, where it wants one."
    )
    caption_timeout_s: PositiveFloat = Field(
        20.0, description="Seconds one description may take; a picture goes without after that."
    )
    caption_most: PositiveInt = Field(
        10, description="Most pictures of one document that are described."
    )
    caption_min_side: PositiveInt = Field(
        100, description="Pixels of the shorter side from which on a picture is described."
    )
    allow_macros: bool = Field(
        False, description="Whether office files with macros are taken in (their text only)."
    )
    max_file_bytes: PositiveInt = Field(100 * MIB, description="Largest file taken in.")
    max_pages: PositiveInt = Field(2000, description="Most pages of one document.")
    collection_limits: dict[str, dict[LimitName, PositiveFloat]] = Field(
        {},
        description="`max_file_bytes`, `max_pages`, `parse_wall_s` and `parse_memory_bytes` of "
        "single collections, by `namespace/name`: JSON in the environment, a table in the file. "
        "No part of the parser's fingerprint; `rag retry` tries what was refused again.",
    )
    document_passwords: dict[str, tuple[SecretStr, ...]] = Field(
        {},
        description="Passwords tried on encrypted PDF and office files, a list for each "
        "`namespace/name`: JSON in the environment, a table in the file. Never stored or logged; "
        "after a change `rag retry` tries the files again.",
    )
    max_attempts: PositiveInt = Field(
        3, description="Tries of one document before it becomes a dead letter."
    )
    lease_s: PositiveFloat = Field(
        30.0, description="Seconds without a heartbeat after which a worker's claim lapses."
    )
    deletion_floor: int = Field(
        20, ge=0, description="Deletions per source that never trip the breaker."
    )
    deletion_share: float = Field(
        0.05, ge=0, le=1, description="Share of a source whose deletion trips the breaker."
    )
    deletion_confirm_s: PositiveFloat = Field(
        300.0,
        description="A complete listing this many seconds after deletions were held back "
        "confirms them.",
    )
    retention_s: PositiveFloat = Field(
        7 * 86_400.0,
        description="Seconds for which parsed text, chunks, vectors and retired generations that "
        "nothing uses are kept, for roll-backs and re-creations; then `rag sweep`, or the daily "
        "schedule, removes them.",
    )
    query_retention_days: NonNegativeFloat = Field(
        0.0,
        description="Days for which questions and their answers are logged; then the daily "
        "schedule removes them, but for those with feedback. 0 keeps them.",
    )
    own_partition_rows: PositiveInt = Field(
        20_000,
        description="Passages from which a collection has a partition and an HNSW index of its "
        "own. Smaller ones share a partition and are searched exactly.",
    )
    reranker_model: str | None = Field(
        None,
        description="A cross-encoder (folder or hub name) that ranks the best passages of a search "
        "again. Unset: they stay as the lists rank them.",
    )
    sqs_queue_url: str | None = Field(
        None,
        description="Queue of S3 event notifications (SQS, directly, through SNS or EventBridge). "
        "Set: changes are seen at once, and `sensor_interval_s` may be long. Unset: the sensor "
        "only looks.",
    )
    failure_share_error: float = Field(
        0.2, ge=0, le=1, description="Share of failed documents above which a check is an ERROR."
    )
    llm_base_url: str | None = Field(
        None,
        description="OpenAI-compatible endpoint that writes answers, such as "
        "http://127.0.0.1:11434/v1 (Ollama). Unset: answers are made of the best sentences found.",
    )
    llm_model: str | None = Field(
        None, description="The model's name at that endpoint; needed with `llm_base_url`."
    )
    llm_api_key: SecretStr | None = Field(
        None, description="Key of the endpoint, where it wants one."
    )
    llm_timeout_s: PositiveFloat = Field(
        60.0, description="Seconds one call of the model may take, its retries included."
    )
    llm_retries: int = Field(
        2, ge=0, le=10, description="Tries after the first when the endpoint is busy or away."
    )
    llm_max_tokens: PositiveInt = Field(800, description="Longest answer, in the model's tokens.")
    llm_temperature: float = Field(
        0.0, ge=0, le=2, description="How freely the model chooses its words."
    )
    llm_requests_per_minute: NonNegativeInt = Field(
        0, description="Most calls of the model per minute and process; 0 is no limit."
    )
    answer_min_similarity: float = Field(
        0.25,
        ge=-1,
        le=1,
        description="Cosine similarity to the question below which a passage is not relevant. "
        "Without a relevant passage the answer is `answer_unknown`, and no model is called.",
    )
    answer_unknown: str = Field(
        "I don't know the answer.", min_length=1, description="The answer when nothing is relevant."
    )
    gate_min_questions: PositiveInt = Field(
        30, description="Questions without which the gate judges no candidate generation."
    )
    gate_drop: float = Field(
        0.02,
        ge=0,
        le=1,
        description="How far recall@10 and nDCG@10 of a candidate may lie below the live "
        "generation's. A larger drop stops it when chance does not explain it (paired bootstrap, "
        "95 %).",
    )
    gate_floors: dict[str, float] = Field(
        {},
        description="Least mean of metrics, whatever the live generation has: JSON in the "
        'environment, such as {"recall@10": 0.5}, a table in the file.',
    )
    gate_filtered_recall: float = Field(
        0.95, ge=0, le=1, description="Least share of the exact neighbours found under a filter."
    )
    gate_latency_ratio: PositiveFloat = Field(
        2.0,
        description="How much slower a candidate's searches (p95) may be; under 50 ms it is never "
        "too slow.",
    )
    langfuse_host: str | None = Field(
        None,
        description="Langfuse, such as https://cloud.langfuse.com, for `rag evaluate push` and "
        "`pull`. Unset: neither.",
    )
    langfuse_public_key: str | None = Field(None, description="Public key of the project.")
    langfuse_secret_key: SecretStr | None = Field(None, description="Secret key of the project.")
    synthetic_questions: PositiveInt = Field(
        100,
        description="Questions made of a collection's own passages when it has no dataset yet.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file."""
        file = Path(os.environ.get("RAG_CONFIG", "rag.toml"))
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file))

    @field_validator("collection_limits", "document_passwords")
    @classmethod
    def _names_collections(cls, value: dict[str, T]) -> dict[str, T]:
        """Every key names a collection: a misspelt one would do nothing, and silently."""
        for name in value:
            try:
                CollectionName.parse(name)
            except ConfigurationError as error:
                raise ValueError(error.message) from None
        return value

    def limits_of(self, collection: str) -> CollectionLimits:
        """What one file of the collection (`namespace/name`) may cost."""
        own = self.collection_limits.get(collection, {})
        return CollectionLimits(
            int(own.get("max_file_bytes", self.max_file_bytes)),
            int(own.get("max_pages", self.max_pages)),
            own.get("parse_wall_s", self.parse_wall_s),
            int(own.get("parse_memory_bytes", self.parse_memory_bytes)),
        )

    @property
    def uses_embedded_database(self) -> bool:
        return self.database_url is None

    @property
    def uses_embedded_s3(self) -> bool:
        return self.s3_endpoint_url is None and not os.environ.get("AWS_ACCESS_KEY_ID")


def load_settings() -> Settings:
    """The settings in force.

    Raises ConfigurationError naming the first wrong one, never its value."""
    named = os.environ.get("RAG_CONFIG")
    if named and not Path(named).is_file():
        raise ConfigurationError(
            f"RAG_CONFIG names '{named}', which is not a file: correct the path or unset it.",
            code="config_file_missing",
        )
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        variable = str((first["loc"] or ("",))[0]).upper()
        raise ConfigurationError(
            f"Setting {name} (RAG_{variable}) is wrong: {first['msg']}.", code="bad_setting"
        ) from None
    except SettingsError as error:
        raise ConfigurationError(
            f"A setting can not be read ({error}): write it as JSON.", code="bad_setting"
        ) from None
