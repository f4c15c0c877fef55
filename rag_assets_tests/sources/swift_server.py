"""OpenStack Swift with its S3 interface: a second opinion, with real signatures and checksums.

Its programs come from `pip install swift`, best into an environment of its own: they are taken
from the folder named by SWIFT_BIN, else from PATH. The tests skip where they are not installed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rag.stack.loopback import HOST, answers, free_port
from rag.stack.object_store import S3Server

ACCESS_KEY = "test:tester"
SECRET_KEY = "testing"
_READY_S = 60.0
_RINGS = ("account", "container", "object")
_PIPELINE = (
    "catch_errors cache etag-quoter listing_formats bulk s3api tempauth copy slo dlo "
    "versioned_writes symlink proxy-server"
)
_OPTIONS = {
    "cache": "use = egg:swift#memcache\nmemcache_servers = 127.0.0.1:1",
    "etag-quoter": "use = egg:swift#etag_quoter",
    "s3api": "use = egg:swift#s3api\nlocation = us-east-1",
    "tempauth": "use = egg:swift#tempauth\nuser_test_tester = testing .admin .reseller_admin",
    "versioned_writes": "use = egg:swift#versioned_writes\nallow_versioned_writes = true\n"
    "allow_object_versioning = true",
}


@contextmanager
def swift_server(folder: Path) -> Iterator[S3Server]:
    """Swift's four servers on loopback ports, with their files in `folder`."""
    programs = _programs()
    _skip_without_attributes(folder)
    ports = {name: free_port() for name in (*_RINGS, "proxy")}
    _configure(folder, ports)
    with ExitStack() as running:
        for name in _RINGS:
            _make_ring(programs, folder, name, ports[name])
        for name in (*_RINGS, "proxy"):
            running.enter_context(_running(programs / f"swift-{name}-server", folder, name))
        _wait(ports["proxy"], folder)
        yield S3Server(f"http://{HOST}:{ports['proxy']}", ACCESS_KEY, SECRET_KEY)


def _programs() -> Path:
    found = shutil.which("swift-proxy-server", path=os.environ.get("SWIFT_BIN"))
    if found is None:
        pytest.skip("Swift is not installed: pip install swift, and name its bin in SWIFT_BIN")
    return Path(found).parent


def _skip_without_attributes(folder: Path) -> None:
    probe = folder / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
    except OSError:
        pytest.skip("Swift needs a file system with user attributes for the temporary folder")


def _configure(folder: Path, ports: dict[str, int]) -> None:
    (folder / "node" / "d1").mkdir(parents=True)
    for name, port in ports.items():
        pipeline = _PIPELINE if name == "proxy" else f"{name}-server"
        filters = "".join(
            f"[filter:{part}]\n{_OPTIONS.get(part, f'use = egg:swift#{part}')}\n"
            for part in pipeline.split()[:-1]
        )
        (folder / f"{name}.conf").write_text(
            f"[DEFAULT]\nbind_ip = {HOST}\nbind_port = {port}\nworkers = 0\n"
            f"devices = {folder}/node\nmount_check = false\ndisable_fallocate = true\n"
            f"swift_dir = {folder}\nuser = {getpass.getuser()}\nlog_level = WARNING\n"
            f"log_address = {folder}/nolog\n"
            f"[pipeline:main]\npipeline = {pipeline}\n"
            f"[app:{name}-server]\nuse = egg:swift#{name}\n"
            f"{'account_autocreate = true' if name == 'proxy' else ''}\n{filters}",
            encoding="utf-8",
        )
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = test\nswift_hash_path_suffix = test\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
        "[swift-constraints]\nmax_header_size = 32768\n",
        encoding="utf-8",
    )


def _make_ring(programs: Path, folder: Path, name: str, port: int) -> None:
    builder = [str(programs / "swift-ring-builder"), f"{name}.builder"]
    for arguments in (
        ["create", "4", "1", "1"],
        ["add", f"r1z1-{HOST}:{port}/d1", "1"],
        ["rebalance"],
    ):
        subprocess.run(
            [*builder, *arguments], cwd=folder, check=True, capture_output=True, timeout=60
        )


@contextmanager
def _running(program: Path, folder: Path, name: str) -> Iterator[None]:
    environment = {**os.environ, "SWIFT_DIR": str(folder)}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [program, folder / f"{name}.conf"], stdout=log, stderr=log, env=environment
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


def _wait(port: int, folder: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while not answers(port):
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-500:] for path in sorted(folder.glob("*.log")))
            pytest.fail(f"Swift did not start: {logs}")
        time.sleep(0.1)
