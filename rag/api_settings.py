"""The settings of the HTTP service and its page."""

from __future__ import annotations

from pydantic import (
    AliasChoices,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from pydantic_settings import BaseSettings

MIB = 1024 * 1024


class ApiSettings(BaseSettings):
    """What of the platform's settings is about serving over HTTP."""

    api_host: str = Field(
        "127.0.0.1",
        description="Address the HTTP service listens on. Others than loopback ones need an API "
        "key to exist.",
    )
    api_port: int = Field(
        7860,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("RAG_API_PORT", "INGESTION_PORT"),
        description="Port of the web page and the HTTP service; 0 takes a free one. "
        "INGESTION_PORT is accepted, too.",
    )
    api_pool_size: PositiveInt = Field(
        10, description="Most connections of the HTTP service to Postgres."
    )
    api_pool_timeout_s: PositiveFloat = Field(
        5.0, description="Seconds a request waits for a connection before it is answered 503."
    )
    api_statement_timeout_s: PositiveFloat = Field(
        10.0, description="Longest database statement of a request, in seconds."
    )
    api_max_in_flight: PositiveInt = Field(
        32, description="Requests worked on at a time; more are answered 503 with Retry-After."
    )
    api_max_in_flight_per_key: PositiveInt = Field(
        24, description="Of these, requests of one key; more are answered 429 with Retry-After."
    )
    api_requests_per_minute: NonNegativeInt = Field(
        600, description="Requests per key and minute, else 429; 0 means no limit."
    )
    api_key_memory_s: NonNegativeFloat = Field(
        1.0,
        le=5.0,
        description="Seconds for which what the database said of a key holds: a revoked key opens "
        "no longer than that. 0 asks for each request; 5 at most.",
    )
    api_max_body_bytes: PositiveInt = Field(
        MIB, description="Largest request body of everything but uploads."
    )
    api_body_timeout_s: PositiveFloat = Field(
        30.0, description="Seconds without a byte after which a request's body is given up."
    )
    api_body_bytes_per_s: PositiveInt = Field(
        16_384,
        description="Slowest body that is read to its end, in bytes per second, after a start of "
        "RAG_API_BODY_TIMEOUT_S; only waiting for the sender counts.",
    )
    api_index_memory_mb: PositiveInt = Field(
        128, description="Most of the word index that the service keeps in memory, in MB."
    )
    api_shutdown_s: PositiveInt = Field(
        20, description="Seconds that requests in progress are given when the service stops."
    )
    api_upload_bucket: str = Field(
        "rag-uploads", description="Bucket of uploaded files; made when it can be."
    )
    api_max_files_per_upload: PositiveInt = Field(
        15,
        validation_alias=AliasChoices("RAG_API_MAX_FILES_PER_UPLOAD", "MAX_FILES_PER_UPLOAD"),
        description="Most files of one upload. MAX_FILES_PER_UPLOAD is accepted, too.",
    )
    api_max_file_mb: PositiveInt = Field(
        50,
        validation_alias=AliasChoices("RAG_API_MAX_FILE_MB", "MAX_FILE_MB"),
        description="Largest uploaded file, in MB of 1,048,576 bytes. MAX_FILE_MB is accepted, "
        "too.",
    )
    api_cors_origins: str = Field(
        "", description="Web origins that may call from a browser, separated by commas."
    )

    api_check_hosts: str = Field(
        "",
        description="Servers, as host:port separated by commas, that an operator's key may have "
        "settings checked against, besides those of the settings in force.",
    )

    @property
    def serves_this_machine_only(self) -> bool:
        """Whether the HTTP service listens on a loopback address."""
        return self.api_host in ("127.0.0.1", "localhost", "::1")

    @property
    def max_upload_bytes(self) -> int:
        """One file more than allowed, each a little larger than allowed: enough to say why."""
        return (self.api_max_files_per_upload + 1) * (self.api_max_file_mb + 1) * MIB

    @property
    def cors_origins(self) -> list[str]:
        return [origin.strip() for origin in self.api_cors_origins.split(",") if origin.strip()]
