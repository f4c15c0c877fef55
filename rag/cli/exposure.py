"""The check of `rag doctor` that nothing without a door of its own is reached from the network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag.cli.finding import Finding, ok, warn

if TYPE_CHECKING:
    from rag.settings import Settings

# of the addresses kept for documentation: a route to it is looked up, nothing is sent
_ANYWHERE = ("192.0.2.1", 9)


def exposure(settings: Settings, address: str | None = None) -> Iterator[Finding]:
    """Dagster's UI runs code for whoever reaches it, and the embedded servers are for this machine
    alone. `address` is one that other machines reach this one by; it is found when left out."""
    from rag.stack.loopback import answers

    address = address or outer_address()
    if address is None:
        yield ok("exposure", "this machine is on no network")
        return
    open_ports = [
        f"{purpose} (port {port})"
        for purpose, port in servers(settings)
        if port and answers(port, host=address)
    ]
    if open_ports:
        detail = f"other machines reach {', '.join(open_ports)} at {address}"
        advice = "bind it to 127.0.0.1, and let others in by a proxy that asks who they are"
        yield warn("exposure", detail, advice)
    else:
        yield ok("exposure", f"no server without a door of its own answers at {address}")


def servers(settings: Settings) -> Iterator[tuple[str, int]]:
    """What must stay on this machine, and where it is: of the stack that runs, or as set."""
    from rag.stack.endpoints import running_endpoints

    running = running_endpoints(settings.home.resolve())
    if running is None:
        yield "the Dagster UI", settings.dagster_port
        return
    yield "the Dagster UI", urlsplit(running.dagster_url).port or 0
    if settings.uses_embedded_database:
        yield "Postgres", urlsplit(running.database_url).port or 0
    if running.s3 is not None:
        yield "the object store", urlsplit(running.s3.endpoint_url).port or 0


def outer_address() -> str | None:
    """The address of this machine on its network; None when it is on none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ANYWHERE)
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith(("127.", "0.")) else found
