"""The suite over every source that needs no server of its own kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.sources.s3 import S3Client
from rag_assets_tests.sources.conformance import (
    BoundedSourceConformance,
    SelectiveSourceConformance,
    SourceConformance,
)
from rag_assets_tests.sources.places import BucketPlace, FakePlace, FolderPlace


class TestFakeSource(SourceConformance, BoundedSourceConformance):
    @pytest.fixture
    def place(self) -> FakePlace:
        return FakePlace()


class TestFolderSource(SelectiveSourceConformance, BoundedSourceConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> FolderPlace:
        return FolderPlace(tmp_path)


class TestS3Source(SelectiveSourceConformance, BoundedSourceConformance):
    @pytest.fixture
    def place(self, s3_connection: S3Client) -> BucketPlace:
        return BucketPlace.create(s3_connection)


class TestS3SourceOfVersionedBucket(SelectiveSourceConformance, BoundedSourceConformance):
    @pytest.fixture
    def place(self, s3_connection: S3Client) -> BucketPlace:
        return BucketPlace.create(s3_connection, versioned=True)
