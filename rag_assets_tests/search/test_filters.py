"""Filters, the cap per document, neighbours and the generation in every result."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from typing import Any

import pytest

from rag.errors import ConfigurationError
from rag.store.database import Connection
from rag.store.filters import Filters, Range, _pattern
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow


@pytest.fixture
def filled(harness: Harness) -> Harness:
    for name, text in {
        "a/cable-2024.txt": b"the haul rope is long",
        "a/pump-2023.txt": b"the rope of the pump",
        "b/oil[1].md": b"a rope in oil",
    }.items():
        harness.source.put(name, text)
    harness.run()
    for name, metadata, language in (
        ("a/cable-2024.txt", '{"part": "LW-7", "year": "2024", "seen": "2024-05-01"}', "en"),
        ("a/pump-2023.txt", '{"part": "LW-8", "year": "2023.5", "seen": "2023-05-01"}', "de"),
    ):
        harness.conn.execute(
            "update parsed set metadata = %s::jsonb, language = %s where text = %s",
            [metadata, language, harness.source.objects[name][0].decode()],
        )
    return harness


CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"cable-2024.txt", "pump-2023.txt", "oil[1].md"}),
    ({"names": ("*.md",)}, {"oil[1].md"}),
    ({"names": ("cable*", "*.md")}, {"cable-2024.txt", "oil[1].md"}),
    ({"names": ("*/a/*",)}, {"cable-2024.txt", "pump-2023.txt"}),
    ({"names": ("*-202[34].txt",)}, {"cable-2024.txt", "pump-2023.txt"}),
    ({"names": ("*-202[!3].txt",)}, {"cable-2024.txt"}),
    ({"names": ("pump-202?.txt",)}, {"pump-2023.txt"}),
    ({"names": ("pump.2023.txt",)}, set()),
    ({"filenames": ("oil[1].md",)}, {"oil[1].md"}),
    ({"languages": ("de",)}, {"pump-2023.txt"}),
    ({"metadata": {"part": "LW-7"}}, {"cable-2024.txt"}),
    ({"metadata": {"part": "LW-7", "year": "2023.5"}}, set()),
    ({"metadata": {"year": Range(2023, 2023.9)}}, {"pump-2023.txt"}),
    ({"metadata": {"year": Range(low=2023)}}, {"cable-2024.txt", "pump-2023.txt"}),
    ({"metadata": {"part": Range(1, 9)}}, set()),
    ({"metadata": {"seen": Range("2024-01-01", "2024-12-31")}}, {"cable-2024.txt"}),
    ({"metadata": {"seen": Range(high="2023-12-31")}}, {"pump-2023.txt"}),
]


@pytest.mark.parametrize(("filters", "expected"), CASES)
@pytest.mark.parametrize("mode", ["hybrid", "dense", "bm25"])
def test_each_filter_means_what_it_says(
    filled: Harness, mode: Any, filters: dict[str, Any], expected: set[str]
) -> None:
    found = filled.search("rope", k=9, mode=mode, filters=Filters(**filters))

    assert {hit.document for hit in found.hits} == expected
    assert found.generation is not None and found.as_of is not None


def test_every_glob_means_what_fnmatch_says(conn: Connection) -> None:
    made = random.Random(7)
    letters = "abcé-]![^\\.*?:=&~|(\n "
    pairs = [
        ("".join(made.choices(letters + "[]-!" * 3, k=made.randint(1, 7))),
         "".join(made.choices(letters, k=made.randint(1, 4))))
        for _ in range(20_000)
    ]  # fmt: skip
    pairs += [("[z-a]", "z"), ("[!z-a]", "z"), ("[!]", "[!]"), ("[]", "[]"), ("[[:a:]]", "a]")]
    rows = conn.execute(
        "select name ~ pattern as is_found from unnest(%s::text[], %s::text[])"
        " with ordinality as given (name, pattern, number) order by number",
        [[name for _, name in pairs], [_pattern(glob) for glob, _ in pairs]],
    ).fetchall()

    found = [row["is_found"] for row in rows]
    assert found == [fnmatchcase(name, glob) for glob, name in pairs]
    assert 100 < sum(found) < len(found) / 2


@pytest.mark.parametrize("bounds", [Range(), Range("a", 3)])
def test_a_range_without_bounds_of_one_kind_is_refused(bounds: Range) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bounds.checked()
    assert caught.value.code == "bad_filter"


def test_one_document_does_not_fill_the_answer_when_capped(harness: Harness) -> None:
    harness.source.put("long.txt", b"\n\n".join(b"rope " * 28 + b"%d" % n for n in range(90)))
    harness.source.put("short.txt", b"one rope among other things that are no matter here at all")
    harness.run()

    free = harness.search("rope", mode="bm25", k=3)
    capped = harness.search("rope", mode="bm25", k=3, max_per_document=2)

    assert [hit.document for hit in free.hits] == ["long.txt"] * 3
    assert [hit.document for hit in capped.hits] == ["long.txt", "long.txt", "short.txt"]


def test_neighbours_are_the_text_before_and_after(harness: Harness) -> None:
    parts = [f"part{n} " + " ".join(f"w{n}x{i}" for i in range(25)) for n in range(5)]
    harness.source.put("a.txt", "\n\n".join(parts).encode())
    harness.run()

    (hit,) = harness.search("part2", mode="bm25", k=1, neighbors=1).hits
    (plain,) = harness.search("part2", mode="bm25", k=1).hits

    assert plain.before is None and plain.after is None
    assert hit.before is not None and "part1" in hit.before and "part0" not in hit.before
    assert hit.after is not None and "part3" in hit.after and "part4" not in hit.after
    assert hit.before.strip() in "\n\n".join(parts) and hit.text not in hit.before


def test_the_first_and_the_last_chunk_have_one_neighbour(harness: Harness) -> None:
    harness.source.put("a.txt", b"\n\n".join(b"part%d " % n + b"x " * 25 for n in range(2)))
    harness.run()

    (first,) = harness.search("part0", mode="bm25", k=1, neighbors=3).hits
    (last,) = harness.search("part1", mode="bm25", k=1, neighbors=3).hits

    assert first.before is None and first.after is not None
    assert last.before is not None and last.after is None
