"""What is remembered of a key, and for how long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rag.api import identity
from rag.store import access
from rag_assets_tests.api.conftest import Api, MakeApi

pytestmark = pytest.mark.slow

MEMORY_S = 5.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def let_the_memory_pass(self) -> None:
        self.now += MEMORY_S


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(identity, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def api(make_api: MakeApi, clock: Clock) -> Api:
    return make_api(key_memory_s=MEMORY_S)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that the database was asked about."""
    asked: list[str] = []
    open_with = access.open_with

    def counted(conn: access.Connection, key: str) -> access.ValidKey | None:
        asked.append(key)
        return open_with(conn, key)

    monkeypatch.setattr(access, "open_with", counted)
    return asked


def status(api: Api, key: str | None = None, **headers: str) -> int:
    shown = headers if key is None else {**headers, "X-API-Key": key}
    code: int = api.client.get("/collections", headers=shown).status_code
    return code


def test_the_database_is_asked_about_a_key_once_while_it_holds(
    api: Api, clock: Clock, looks: list[str]
) -> None:
    one, other = api.key(), api.key()

    assert [status(api, key) for key in (one, one, other, one, other)] == [200] * 5
    assert looks == [one, other]
    clock.let_the_memory_pass()
    assert status(api, one) == 200
    assert looks == [one, other, one]


def test_a_revoked_key_opens_nothing_when_the_memory_is_over(api: Api, clock: Clock) -> None:
    key = api.key()
    assert status(api, key) == 200
    access.revoke_key(api.conn, key.partition(".")[0])

    assert status(api, key) == 200
    clock.let_the_memory_pass()
    assert status(api, key) == 401


def test_the_first_key_shuts_the_door_when_the_memory_is_over(api: Api, clock: Clock) -> None:
    assert status(api) == 200
    api.key()

    clock.let_the_memory_pass()
    assert status(api) == 401


def test_what_is_remembered_of_this_machine_opens_to_no_other(api: Api) -> None:
    assert status(api) == 200

    assert status(api, host="evil.example") == 401
    assert status(api, origin="http://evil.example") == 401
    assert status(api, "rag_0.wrong") == 401


def test_what_opens_nothing_is_not_remembered(api: Api, looks: list[str]) -> None:
    key = api.key()
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")

    assert [status(api, wrong), status(api, wrong), status(api, key)] == [401, 401, 200]
    assert looks == [wrong, wrong, key]


def test_no_more_keys_are_remembered_than_fit(
    api: Api, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_MOST", 2)
    keys = [api.key() for _ in range(3)]

    assert [status(api, key) for key in (*keys, *keys)] == [200] * 6
    assert len(looks) > len(keys)
