"""A real Milvus server for tests, from the PyPI package `milvus`; one for all test processes.

`milvus_uri()` starts it on first use and skips, with the reason, where it cannot be had. It runs
under a watcher (this file as a program), which stops it and clears its folder once none of the
test processes that asked for it is left, however they ended. `empty_store` gives stores on it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tipr.gallery.milvus_store import MilvusStore

USER = "root:Milvus"
_SECONDS = 60  # to start, on a busy machine
_TRIES = 3  # one in twenty hangs when it finds the traces of a server that was killed
_STARTED, _FAILED, _USERS = "started", "failed", "users"  # in the folder that tests share
_SETTINGS = {
    "queryNode.segcore.interimIndex.enableIndex": "false",  # else it searches new rows roughly
    "common.security.authorizationEnabled": "true",
    # Rounds that servers make less often by themselves; requests wait for one or several.
    "proxy.timeTickInterval": "20",
    "queryCoord.checkInterval": "50",
    "queryCoord.checkChannelInterval": "50",
    "queryCoord.checkSegmentInterval": "50",
    "queryCoord.checkIndexInterval": "100",
    "queryCoord.distPullInterval": "50",
    "queryCoord.UpdateNextTargetInterval": "1",
    "dataCoord.compaction.check.interval": "1",
    # Files of segments that compaction replaced go at once.
    "dataCoord.gc.interval": "1",
    "dataCoord.gc.dropTolerance": "3",
}
_ETCD = """\
listen-client-urls: http://127.0.0.1:{0}
advertise-client-urls: http://127.0.0.1:{0}
listen-peer-urls: http://127.0.0.1:{1}
initial-advertise-peer-urls: http://127.0.0.1:{1}
initial-cluster: default=http://127.0.0.1:{1}
log-level: error
"""


class MilvusServer:
    """A server with its data in `folder`; started again, it goes on with what is there."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = _SETTINGS | {name.replace("_", "."): x for name, x in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Its address, once it answers; RuntimeError says why it does not."""
        import milvus

        config = milvus.MilvusServerConfig(data_dir=str(self.folder))
        names = [name for name in config.configurable_items if name.endswith("_port")]
        health, etcd, peer, *ports = _free_ports(3 + len(names))
        config.configs.update(zip(names, ports, strict=True))
        config.resolve()
        milvus._initialize_data_files(str(self.folder))
        (self.folder / "etcd.yaml").write_text(_ETCD.format(etcd, peer))
        for _ in range(_TRIES):
            self._run(health, etcd)
            if self._healthy(f"http://127.0.0.1:{health}/healthz"):
                return f"milvus://{USER}@127.0.0.1:{config.get('proxy_port')}"
            self.kill()
        said = self._output.read_text(errors="replace").strip().splitlines()
        causes = [line for line in said if "panic" in line or "error" in line.lower()] or said
        raise RuntimeError(f"the server does not start: {causes[0][:300] if causes else 'silent'}")

    def _run(self, health: int, etcd: int) -> None:
        settings = {
            **self._settings,
            "etcd.endpoints": f"127.0.0.1:{etcd}",
            "etcd.config.path": str(self.folder / "etcd.yaml"),
            "metrics.port": str(health),
            "deploy.mode": "STANDALONE",
            "milvus.run.dir": str(self.folder / "run"),
            "ld.library.path": str(self.folder / "bin"),
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [str(self.folder / "bin" / "milvus"), "run", "standalone"],
                cwd=self.folder,
                env={
                    **os.environ,
                    **{name.replace(".", "_").upper(): value for name, value in settings.items()},
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _healthy(self, address: str) -> bool:
        """Whether it answers, once it does or has ended or had its time."""
        end = time.monotonic() + _SECONDS
        while self._process and self._process.poll() is None and time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                if b"OK" in answer.read():
                    return True
            time.sleep(0.1)
        return False

    def kill(self) -> None:
        """As `kill -9` does: nothing is put in order."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def _output(self) -> Path:
        return self.folder / "output.txt"


@cache
def milvus_uri() -> str:
    """milvus://user:password@host:port of the shared server; a gallery's name is added to it."""
    import pytest

    found = _shared()
    if not found.startswith("milvus://"):
        pytest.skip(found)
    return found


@cache
def _shared() -> str:
    """The address, or the reason why there is none."""
    if sys.platform == "win32":
        return "there is no Milvus server for Windows"
    for package in ("pymilvus", "milvus"):
        if importlib.util.find_spec(package) is None:
            return f"needs the package {package}: pip install 'pymilvus>=3' milvus==2.3.5"
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"tipr-milvus-{run}"
    end = time.monotonic() + _TRIES * _SECONDS + 60  # unpacking too
    while time.monotonic() < end:
        if _joined(folder):
            for outcome in (_STARTED, _FAILED):
                with suppress(FileNotFoundError):
                    return (folder / outcome).read_text()
        time.sleep(0.1)
    return "the Milvus server did not start in time"


def milvus_files() -> Path:
    """Where the shared server keeps the rows, in files that compaction rewrites."""
    [folder] = _held
    return folder / "data" / "insert_log"


_held: dict[Path, int] = {}  # open files whose locks say that this process uses a server


def _joined(folder: Path) -> bool:
    """Whether the folder is there and this process holds it, after starting what was not there."""
    import fcntl

    if folder in _held:
        return True
    first = False
    with suppress(FileExistsError):
        folder.mkdir()
        first = True
    try:
        users = os.open(folder / _USERS, os.O_RDWR | (os.O_CREAT if first else 0))
    except FileNotFoundError:
        return False
    fcntl.flock(users, fcntl.LOCK_SH)  # waits while a watcher clears the folder
    if os.fstat(users).st_nlink == 0:
        os.close(users)
        return False
    _held[folder] = users
    if first:
        os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, __file__, str(folder)])
    return True


def _watch(folder: Path) -> None:
    """Runs a server until nobody holds the folder any more."""
    import fcntl

    os.setsid()  # Ctrl-C is for the tests
    server = MilvusServer(folder)
    outcome = folder / "outcome"
    try:
        outcome.write_text(server.start())
        outcome.rename(folder / _STARTED)
    except Exception as error:
        outcome.write_text(f"no Milvus server here: {error}")
        outcome.rename(folder / _FAILED)
    with (folder / _USERS).open("rb") as users:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.5)
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as probes:
        found = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in found:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in found]


_free: dict[int, list[MilvusStore]] = {}


def empty_store(width: int) -> MilvusStore:
    """A store on the shared server; `close` empties it for the next, as making one takes 2 s."""
    if _free.get(width):
        return _free[width].pop()
    return _reusable()(f"{milvus_uri()}/t{uuid.uuid4().hex}", width, create=True)


@cache
def _reusable() -> type[MilvusStore]:
    from tipr.gallery.milvus_filters import among
    from tipr.gallery.milvus_store import MilvusStore

    class Reusable(MilvusStore):
        def close(self) -> None:
            free = _free.setdefault(self.width, [])
            if self in free:
                return
            for collection in (self._name, self._thumbnails, self._notes):
                ids = [one["id"] for one in self._client.rows(collection, 'id != ""', ["id"])]
                if ids:
                    self._client.ask("delete", collection, filter=among("id", ids))
            self._years, self._index = set(), {}
            free.append(self)

    return Reusable


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
