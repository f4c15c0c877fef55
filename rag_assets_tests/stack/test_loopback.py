from __future__ import annotations

import socket

import pytest

from rag.errors import ConfigurationError
from rag.stack.loopback import HOST, answers, free_port, is_free, required_port


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert answers(port)
        assert not is_free(port)
        assert free_port(port) != port
        with pytest.raises(ConfigurationError, match=rf"{port}.*RAG_DAGSTER_PORT") as caught:
            required_port(port, "RAG_DAGSTER_PORT")
        assert caught.value.code == "port_in_use"
    assert not answers(port)
    assert free_port(port) == port == required_port(port, "RAG_DAGSTER_PORT")


def test_port_zero_takes_a_free_one() -> None:
    assert is_free(required_port(0, "RAG_DAGSTER_PORT"))
