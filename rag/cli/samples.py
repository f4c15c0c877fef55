"""The project's sample documents: putting them into a bucket, and the questions about them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ConfigurationError

if TYPE_CHECKING:
    from rag.sources.s3 import S3Client

BUCKET = "rag-demo"
PREFIX = "laerchgrat/"
COLLECTION = "demo/laerchgrat"
URI = f"s3://{BUCKET}/{PREFIX}"
COMPANY = "Bergbahnen Lärchgrat AG"


@dataclass(frozen=True, slots=True)
class Upload:
    """What putting the samples into the bucket meant."""

    total: int
    sent: int
    sent_bytes: int


def samples_folder() -> Path:
    """The folder `samples` of the checkout. Raises ConfigurationError (`samples_missing`)."""
    folder = Path(__file__).resolve().parents[2] / "samples"
    if not (folder / "documents").is_dir():
        raise ConfigurationError(
            "The sample documents are not part of this installation: clone the repository and run "
            "`make demo` there.",
            code="samples_missing",
        )
    return folder


def upload_samples(client: S3Client, folder: Path) -> Upload:
    """Put what the bucket lacks, or has with other bytes, through the S3 protocol."""
    _ensure_bucket(client)
    known = _etags(client)
    files = sorted(path for path in (folder / "documents").rglob("*") if path.is_file())
    sent = sent_bytes = 0
    for path in files:
        key = PREFIX + path.relative_to(folder / "documents").as_posix()
        data = path.read_bytes()
        if known.get(key) != _etag(data):
            client.put_object(Bucket=BUCKET, Key=key, Body=data)
            sent += 1
            sent_bytes += len(data)
    return Upload(len(files), sent, sent_bytes)


def demo_questions(folder: Path) -> list[str]:
    """The questions marked for the demo."""
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.strip()]
    return [entry["question"] for entry in entries if entry.get("demo")]


def _ensure_bucket(client: S3Client) -> None:
    buckets = {bucket["Name"] for bucket in client.list_buckets().get("Buckets", [])}
    if BUCKET not in buckets:
        client.create_bucket(Bucket=BUCKET)


def _etags(client: S3Client) -> dict[str, str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
    return {
        entry["Key"]: entry["ETag"].strip('"')
        for page in pages
        for entry in page.get("Contents", [])
    }


def _etag(data: bytes) -> str:
    # the ETag of an object that was put in one piece
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
