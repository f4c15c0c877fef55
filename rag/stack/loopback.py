"""Ports on 127.0.0.1: finding a free one, and waiting until something answers on it."""

from __future__ import annotations

import errno
import random
import socket

from rag.errors import ConfigurationError

HOST = "127.0.0.1"
# systems give connections ports from 32,768 on (Linux) or 49,152 on (IANA)
_BELOW_OUTGOING = range(20_000, 32_768)
_TRIES = 20


def free_port(preferred: int = 0) -> int:
    """A port nobody listens on now: the preferred one when it is free. Else, while there is one, a
    port that no outgoing connection takes before its server listens."""
    if preferred and is_free(preferred):
        return preferred
    for port in random.SystemRandom().sample(_BELOW_OUTGOING, _TRIES):
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def answers(port: int, timeout_s: float = 1.0, *, host: str = HOST) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def required_port(port: int, setting: str) -> int:
    """The port a person asked for (0 takes any free one). Raises ConfigurationError when taken."""
    if port and not is_free(port):
        raise ConfigurationError(
            f"Port {port} on {HOST} is in use: end the program that listens there, or set "
            f"{setting} to another port (0 takes a free one).",
            code="port_in_use",
        )
    return port or free_port()
