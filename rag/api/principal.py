"""Who asks, and what they may: decided before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rag.errors import NotFoundError, PolicyError
from rag.model import CollectionName
from rag.store.access import ROLES, KeyScope


class Need(StrEnum):
    """What a route asks of whoever calls it."""

    PUBLIC = "public"  # nothing
    READ = "read"
    WRITE = "write"
    OPERATOR = "operator"  # a key of all namespaces


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever calls: a key by its prefix, or `local` while no key was ever made."""

    name: str
    scope: KeyScope

    def check(self, need: Need) -> None:
        """Raises PolicyError (`forbidden`) when the role does not reach."""
        if need is Need.PUBLIC:
            return
        if need is Need.OPERATOR:
            is_enough = self.scope.namespace is None
        else:
            is_enough = ROLES.index(self.scope.role) >= ROLES.index(need.value)
        if not is_enough:
            raise PolicyError(f"This key may not do that: it takes {need}.", code="forbidden")

    def may_open(self, name: CollectionName) -> bool:
        """Whether the collection, should it exist, is within the key's scope."""
        if self.scope.namespace not in (None, name.namespace):
            return False
        return self.scope.collections is None or name.collection in self.scope.collections

    @property
    def principals(self) -> tuple[str, ...] | None:
        """Whose documents the caller finds beside everyone's; None is all of them: an operator's
        key, and an admin's."""
        if self.scope.namespace is None or self.scope.role == "admin":
            return None
        return self.scope.principals

    def open(self, name: CollectionName) -> CollectionName:
        """The name itself. Raises NotFoundError (`collection_not_found`) when it is not within
        the key's scope: just as if it did not exist."""
        if not self.may_open(name):
            raise NotFoundError("There is no such collection.", code="collection_not_found")
        return name


LOCAL = Principal("local", KeyScope(None, "admin"))


def unauthenticated() -> PolicyError:
    """The one answer to a missing, wrong, expired or revoked key."""
    return PolicyError(
        "A valid API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        code="unauthenticated",
    )
