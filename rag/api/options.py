"""The settings of the HTTP service: environment variables `RAG_API_<NAME>`."""

from __future__ import annotations

from pydantic import (
    AliasChoices,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from rag.errors import ConfigurationError

MIB = 1024 * 1024


class ApiSettings(BaseSettings):
    """What can be set about serving, its default and its meaning."""

    model_config = SettingsConfigDict(env_prefix="RAG_API_", frozen=True, populate_by_name=True)

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Others than loopback ones need an API key to exist.",
    )
    port: int = Field(
        7860,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("RAG_API_PORT", "INGESTION_PORT"),
        description="Port of the HTTP service; 0 takes a free one.",
    )
    pool_size: PositiveInt = Field(10, description="Most connections to Postgres.")
    pool_timeout_s: PositiveFloat = Field(
        5.0, description="Seconds a request waits for a connection before it is answered 503."
    )
    statement_timeout_s: PositiveFloat = Field(10.0, description="Longest database statement.")
    max_in_flight: PositiveInt = Field(
        32, description="Requests worked on at a time; more are answered 503 with Retry-After."
    )
    requests_per_minute: NonNegativeInt = Field(
        600, description="Requests per key and minute, else 429; 0 means no limit."
    )
    max_body_bytes: PositiveInt = Field(
        MIB, description="Largest request body of everything but uploads."
    )
    body_timeout_s: PositiveFloat = Field(
        30.0, description="Seconds without a byte after which a request's body is given up."
    )
    shutdown_s: PositiveInt = Field(
        20, description="Seconds that requests in progress are given when the service stops."
    )
    upload_bucket: str = Field(
        "rag-uploads", description="Bucket of uploaded files; made when it can be."
    )
    max_files_per_upload: PositiveInt = Field(
        15,
        validation_alias=AliasChoices("RAG_API_MAX_FILES_PER_UPLOAD", "MAX_FILES_PER_UPLOAD"),
        description="Most files of one upload.",
    )
    max_file_mb: PositiveInt = Field(
        50,
        validation_alias=AliasChoices("RAG_API_MAX_FILE_MB", "MAX_FILE_MB"),
        description="Largest uploaded file, in MB of 1,048,576 bytes.",
    )
    cors_origins: str = Field(
        "", description="Web origins that may call from a browser, separated by commas."
    )

    @property
    def is_loopback(self) -> bool:
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def max_upload_bytes(self) -> int:
        """One file more than allowed, each a little larger than allowed: enough to say why."""
        return (self.max_files_per_upload + 1) * (self.max_file_mb + 1) * MIB

    @property
    def origins(self) -> list[str]:
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]


def load_api_settings() -> ApiSettings:
    """The settings in force. Raises ConfigurationError (`bad_setting`) naming the first wrong
    one, never its value."""
    try:
        return ApiSettings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise ConfigurationError(
            f"The setting {name} of the HTTP service is wrong: {first['msg']}.", code="bad_setting"
        ) from None
