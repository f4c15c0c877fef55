"""Index names: what other systems call a generation, `ns-{ns}-bot-{bot}-session-{id}`, normalised
to the rules of the store that keeps the index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Literal

from rag.model import CollectionName

Rules = Literal["pgvector", "opensearch"]
IDENTIFIER_BYTES = 63

_FORBIDDEN = str.maketrans({"_": "-", " ": "-"} | dict.fromkeys(',:"*+/\\|?#><'))


def index_name(name: CollectionName, session: str, rules: Rules = "pgvector") -> str:
    """The index's name under those rules. Different names may become equal: see `collisions`."""
    return normalised(f"ns-{name.namespace}-bot-{name.collection}-session-{session}", rules)


def normalised(text: str, rules: Rules) -> str:
    """pgvector: lower case, anything but a-z, 0-9 and _ becomes _, never a digit first. opensearch:
    lower case, _ and space become -, what it forbids goes."""
    lowered = text.lower()
    if rules == "opensearch":
        return lowered.translate(_FORBIDDEN)
    made = re.sub(r"[^a-z0-9_]", "_", lowered)
    return made if re.match(r"[a-z_]", made) else f"_{made}"


def identifier(name: str) -> str:
    """The name as PostgreSQL can keep it, at most 63 bytes; a longer one ends in its hash, so two
    long names stay two."""
    if len(name.encode()) <= IDENTIFIER_BYTES:
        return name
    mark = sha256(name.encode()).hexdigest()[:12]
    head = name.encode()[: IDENTIFIER_BYTES - len(mark) - 1].decode(errors="ignore")
    return f"{head}_{mark}"


def collisions(
    sessions: Iterable[tuple[CollectionName, str]], rules: Rules = "pgvector"
) -> Mapping[str, tuple[str, ...]]:
    """Index names that more than one build would get, with the collections they belong to."""
    found: dict[str, set[str]] = {}
    for name, session in sessions:
        key = identifier(index_name(name, session, rules))
        found.setdefault(key, set()).add(f"{name} session {session}")
    return {name: tuple(sorted(owners)) for name, owners in found.items() if len(owners) > 1}
