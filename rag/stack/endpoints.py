"""Where the servers in use are, and the file that tells other processes of this machine."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.stack.folder import read_record, write_private
from rag.stack.lock import FileLock
from rag.stack.object_store import S3Server


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The servers to use. `s3` is None when the usual AWS settings hold; a URL that is empty
    belongs to a server that does not run. Carries passwords: never log it as a whole."""

    database_url: str
    dagster_database_url: str
    s3: S3Server | None = None
    dagster_url: str = ""
    api_url: str = ""
    pid: int = 0

    def __repr__(self) -> str:
        return f"Endpoints(dagster_url={self.dagster_url!r}, pid={self.pid})"

    def environment(self) -> dict[str, str]:
        """The variables that make `load_settings` of a child find the same servers."""
        return {
            "RAG_DATABASE_URL": self.database_url,
            "RAG_DAGSTER_DATABASE_URL": self.dagster_database_url,
            **(self.s3.environment() if self.s3 else {}),
        }


def publish(home: Path, endpoints: Endpoints) -> None:
    """Tell other processes; only this user may read it."""
    write_private(home / "stack.json", json.dumps(asdict(endpoints), indent=2))


def withdraw(home: Path) -> None:
    (home / "stack.json").unlink(missing_ok=True)


def running_endpoints(home: Path) -> Endpoints | None:
    """The endpoints of the stack that runs under `home`; None when none does, whatever a killed
    one has left in its file."""
    if not (home / "stack.lock").exists():
        return None
    lock = FileLock(home / "stack.lock")
    is_stale = lock.try_exclusive()
    lock.release()
    record = read_record(home / "stack.json")
    if is_stale or not _lives(record.get("pid")):  # others than a stack may hold the lock, too
        return None
    s3 = record.pop("s3", None)
    return Endpoints(**record, s3=S3Server(**s3) if isinstance(s3, dict) else None)  # type: ignore[arg-type]


def _lives(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
