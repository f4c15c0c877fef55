"""The Ray cluster that takes work: joined by the first of it. Ray is an extra."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rag.errors import ConfigurationError, UnavailableError

_CONNECT_S = 5.0
_OBJECT_BYTES = 512 * 1024 * 1024  # of a cluster of our own: what is on its way, and no more
_LEAST_OBJECT_BYTES = 80 * 1024 * 1024  # Ray wants so much


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster at `address`; without one, a cluster of this process with `workers` slots (0:
    one per core), which ends with it."""

    address: str | None = None
    workers: int = 0
    object_bytes: int = _OBJECT_BYTES

    def join(self) -> Any:
        """The module `ray`, connected. Raises ConfigurationError (`ray_missing`) and
        UnavailableError (`ray_unavailable`)."""
        ray = _ray()
        if not ray.is_initialized():
            self._connect(ray)
        return ray

    def look(self) -> tuple[str, str]:
        """Ray's version, and where the cluster is, without joining it. Raises as `join`."""
        version = str(_ray().__version__)
        if self.address is None:
            return version, f"a cluster of its own with {self.workers or os.cpu_count()} slots"
        _knock(self.address)
        return version, f"the cluster at {self.address}"

    def _connect(self, ray: Any) -> None:
        if self.address is not None:
            _knock(self.address)
        try:
            with _own_signals():
                ray.init(
                    log_to_driver=False,
                    configure_logging=False,
                    include_dashboard=False if self.address is None else None,
                    **self._place(),
                )
        except (OSError, RuntimeError, ValueError) as exc:
            raise _unavailable(_line(exc)) from exc

    def _place(self) -> dict[str, object]:
        if self.address is not None:
            return {"address": self.address}
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told about this cluster
        return {
            "address": "local",
            "num_cpus": self.workers or os.cpu_count(),
            "object_store_memory": max(self.object_bytes, _LEAST_OBJECT_BYTES),
        }


def _ray() -> Any:
    try:
        import ray
    except ImportError as exc:
        raise ConfigurationError(
            "The setting executor is `ray`, and Ray is not installed: pip install "
            "'rag-assets[ray]', or unset RAG_EXECUTOR.",
            code="ray_missing",
        ) from exc
    return ray


def slots(ray: Any) -> int:
    """How many files the cluster can parse at a time now."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def lost(how: object) -> UnavailableError:
    """The error for work that the cluster took and did not bring back; no document is blamed."""
    return UnavailableError(
        f"The Ray cluster lost work ({_line(how)}): see that its workers live and "
        "have memory; the next run goes on.",
        code="ray_worker_lost",
    )


def stalled(seconds: float) -> UnavailableError:
    """The error for a cluster that holds work and ends none."""
    return UnavailableError(
        f"The Ray cluster ended nothing for {seconds:.0f} s: see `ray status`; the next run goes "
        "on.",
        code="ray_stalled",
    )


def differs(what: str) -> ConfigurationError:
    """The error for a worker whose results would bear another fingerprint than was asked for."""
    return ConfigurationError(
        f"A Ray worker has another {what} than this process: install the same versions, models "
        "and programs on every node.",
        code="ray_worker_differs",
    )


def _line(how: object) -> str:
    return " ".join(str(how).split())[:300]


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        f"The Ray cluster can not be joined ({why}): see that it runs, in the same versions of "
        "Ray and Python, and correct RAG_RAY_ADDRESS.",
        code="ray_unavailable",
    )


def _knock(address: str) -> None:
    """Ray tries for minutes where nobody listens."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as exc:
        raise _unavailable(f"nobody listens at {address}") from exc


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; it belongs to whoever runs us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
