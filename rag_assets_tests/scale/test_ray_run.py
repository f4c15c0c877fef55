"""A run whose parsing is done by the cluster: a worker's death costs no document an attempt."""

from __future__ import annotations

from typing import cast

import pytest

from rag.errors import UnavailableError
from rag.ports import Parser
from rag.scale.cluster import Cluster
from rag.scale.parser import RayParser
from rag_assets_tests.fakes import FakeParser
from rag_assets_tests.ingest.conftest import *  # noqa: F403
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.scale.test_ray_parser import PARTS, pdf
from rag_assets_tests.scale.workers import killed_while_working
from rag_assets_tests.world import assert_world_is_sound

pytestmark = pytest.mark.slow


def with_parser(harness: Harness, parser: Parser) -> Harness:
    harness.parser = cast(FakeParser, parser)
    return harness


def count(harness: Harness, sql: str) -> int:
    (row,) = harness.conn.execute(sql.encode()).fetchall()
    return int(row["n"])


def test_a_dead_worker_ends_the_run_and_the_next_one_goes_on_with_nothing_lost(
    cluster: Cluster, harness: Harness
) -> None:
    for n in range(5):
        harness.source.put(f"{n}.pdf", pdf(f"Station {n} reports frost", 40))
    once = RayParser(cluster, PARTS, workers=1, retries=0)
    with_parser(harness, once)
    with (
        killed_while_working("parse_file") as killed,
        pytest.raises(UnavailableError) as caught,
    ):
        harness.run()
    assert killed, "no worker was killed while it parsed"
    assert caught.value.code == "ray_worker_lost"
    assert count(harness, "select count(*) as n from dead_letter") == 0
    assert count(harness, "select coalesce(max(attempts), 0) as n from lease") == 0
    done = count(harness, "select count(*) as n from parsed")
    assert done < 5
    counts = harness.run()
    once.close()
    assert counts["parsed_documents"]["parsed"] == 5 - done
    assert counts["search_index"]["served_documents"] == 5
    assert_world_is_sound(harness.conn)
