"""What a change would cost is said before it runs, and is true."""

from __future__ import annotations

import pytest

from rag.errors import ConfigurationError
from rag.generations.plan import plan_index
from rag.ingest.current import with_recipe
from rag.recipe import parse_recipe
from rag_assets_tests.generations.conftest import Changing


def test_no_change_costs_no_vector(changing: Changing) -> None:
    plan = plan_index(changing.shop(), changing.shard)
    assert (plan.documents, plan.to_parse, plan.to_cut, plan.vectors_new) == (6, 0, 0, 0)
    assert plan.vectors_reused > 6
    assert not plan.is_estimate


def test_another_model_costs_every_distinct_text(changing: Changing) -> None:
    plan = plan_index(with_recipe(changing.shop(), {"embedding_model": "other"}), changing.shard)
    before = changing.embedded()
    assert plan.vectors_new == changing.build({"embedding_model": "other"}).embedded > 0
    assert plan.vectors_reused == 0
    assert changing.embedded() - before == plan.vectors_new
    assert plan.seconds > 0
    assert plan.bytes > plan.vectors_new * 128
    assert plan.is_own_figures


def test_another_cut_reuses_the_texts_that_stay(changing: Changing) -> None:
    recipe = {"chunk_size": 40, "chunk_overlap": 0}
    plan = plan_index(with_recipe(changing.shop(), recipe), changing.shard)
    assert (plan.to_parse, plan.to_cut, plan.sampled) == (0, 6, 6)
    built = changing.build(recipe)
    assert (plan.vectors_new, plan.chunks) == (built.embedded, built.chunks)


def test_planning_changes_nothing(changing: Changing) -> None:
    def state() -> list[dict[str, object]]:
        return changing.conn.execute(
            "select (select count(*) from chunk) as chunks, (select count(*) from embedding) as e, "
            "(select count(*) from generation) as generations"
        ).fetchall()

    before = state()
    plan_index(with_recipe(changing.shop(), {"chunk_size": 64}), changing.shard)
    assert state() == before


@pytest.mark.parametrize(
    "pair", ["chunk_size", "chunk_size=0", "chunk_size=many", "api_port=1", "chunk_prefix=all"]
)
def test_a_wrong_recipe_is_named(pair: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_recipe([pair])
    assert caught.value.code == "bad_recipe"
    assert pair.partition("=")[0] in caught.value.message


def test_a_recipe_is_read_as_the_settings_read_it() -> None:
    assert parse_recipe(["chunk_size=128", "chunk_prefix=none"]) == {
        "chunk_size": 128, "chunk_prefix": "none",
    }  # fmt: skip
