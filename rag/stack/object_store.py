"""The embedded object store: S3 and SQS on a loopback port, whose objects outlive it.

moto answers the requests; object_journal keeps the objects. docs/adr/0003 has the reasons and the
figures. The server is a development stand-in: it knows one access key and no signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.stack.folder import ensure_folder, read_or_create_secret
from rag.stack.loopback import HOST
from rag.stack.shared_server import SharedServer

_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the object store listens, and how to sign in."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str = _REGION

    def environment(self) -> dict[str, str]:
        """The variables that lead boto3 and the settings there."""
        return {
            "RAG_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ENDPOINT_URL_SQS": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def object_server(home: Path) -> SharedServer:
    """The server under `home`, whether it runs or not."""
    root = ensure_folder(home.resolve(), 0o755)
    return SharedServer(
        "embedded object store",
        "rag.stack.object_server",
        root / "objects",
        root / "logs" / "object-store.log",
    )


def ensure_object_store(home: Path) -> S3Server:
    """A running object store under `home`, which runs while this process does.

    Cheap when it runs already; starts it again when it was killed. Raises ConfigurationError or
    UnavailableError.
    """
    server = object_server(home)
    return _address(server.folder, server.hold())


@contextmanager
def embedded_object_store(home: Path) -> Iterator[S3Server]:
    """An object store with what it held before; afterwards it is down, unless others use it."""
    server = object_server(home)
    claim = server.claim()
    try:
        yield _address(server.folder, claim.port)
    finally:
        claim.release()
        server.wait_until_stopped()


def credentials(folder: Path) -> tuple[str, str]:
    """Access key and secret of the store in this folder, made at its first use."""
    access_key = read_or_create_secret(folder / "access-key", 10).upper()
    return access_key, read_or_create_secret(folder / "secret-key", 20)


def _address(folder: Path, port: int) -> S3Server:
    return S3Server(f"http://{HOST}:{port}", *credentials(folder))
