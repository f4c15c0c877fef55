"""Index names follow the rules of the store that keeps the index."""

from __future__ import annotations

import pytest

from rag.generations.names import collisions, identifier, index_name, normalised
from rag.model import CollectionName

HELP = CollectionName("acme", "help.desk-2")


@pytest.mark.parametrize(
    ("rules", "text", "made"),
    [
        ("pgvector", "ns-Acme-bot-Help Desk-session-1f", "ns_acme_bot_help_desk_session_1f"),
        ("pgvector", "7-seas", "_7_seas"),
        ("pgvector", "été", "_t_"),
        ("pgvector", "_a", "_a"),
        ("opensearch", "ns-Acme-bot-Help_Desk 2", "ns-acme-bot-help-desk-2"),
        ("opensearch", 'a,b:c"d*e+f/g\\h|i?j#k>l<m', "abcdefghijklm"),
    ],
)
def test_names_are_normalised_to_the_rules(rules: str, text: str, made: str) -> None:
    assert normalised(text, rules) == made  # type: ignore[arg-type]


def test_an_index_is_named_by_namespace_collection_and_session() -> None:
    assert index_name(HELP, "42") == "ns_acme_bot_help_desk_2_session_42"
    assert index_name(HELP, "42", "opensearch") == "ns-acme-bot-help.desk-2-session-42"


def test_two_names_that_become_one_are_found() -> None:
    twin = CollectionName("acme", "help-desk.2")
    assert collisions([(HELP, "42"), (twin, "43")]) == {}
    assert collisions([(HELP, "42"), (twin, "42")]) == {
        "ns_acme_bot_help_desk_2_session_42": (
            "acme/help-desk.2 session 42", "acme/help.desk-2 session 42",
        )
    }  # fmt: skip


def test_long_names_stay_apart_within_the_limit_of_an_identifier() -> None:
    long = [index_name(CollectionName("a" * 63, "b" * 63), str(n)) for n in (1, 2)]
    made = [identifier(name) for name in long]
    assert len(set(made)) == 2
    assert {len(name.encode()) for name in made} == {63}
    assert identifier("short") == "short"
