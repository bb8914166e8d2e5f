"""Where a server listens, and what is told when it can't."""

import errno
import socket

import pytest

from xsp_server.config import Settings
from xsp_server.errors import ConfigError
from xsp_server.service import server as service
from xsp_server.service.server import Server


async def started(listen: str) -> str:
    """The address of a server that listened there, and stopped."""
    async with Server(Settings(server={"listen": listen})) as server:
        return server.address


async def refusal(listen: str) -> str:
    with pytest.raises(ConfigError) as caught:
        await started(listen)
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::]"])  # noqa: S104
async def test_port_0_takes_a_free_port_of_the_host(host):
    address = await started(f"{host}:0")
    assert address.startswith(f"{host}:")
    assert not address.endswith(":0")


async def test_a_port_in_use_is_told_by_us_alone(capfd):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        assert await refusal(listen) == (
            f"server.listen: can't bind {listen}: it is in use; expected a free host:port, by "
            "server.listen or --listen"
        )
    assert "add_port" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("192.0.2.1:50051", "this machine has no such address"),
        ("nowhere.invalid:50051", "there is no such host"),
        ("unix:/no/such/folder/socket", "there is no folder /no/such/folder"),
    ],
)
async def test_other_causes_are_told_as_such(listen, reason):
    assert await refusal(listen) == (
        f"server.listen: can't bind {listen}: {reason}; expected a free host:port, by "
        "server.listen or --listen"
    )


async def test_what_only_grpc_finds_wrong_is_told_too(tmp_path):
    assert "as gRPC told on standard error" in await refusal(f"unix:{tmp_path}/{'x' * 200}")


async def test_a_folder_that_is_not_ours_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(service.os, "access", lambda *_: False)
    assert f"the folder {tmp_path} can't be written" in await refusal(f"unix:{tmp_path}/socket")


async def test_low_ports_and_hosts_without_addresses_are_told(monkeypatch):
    def no_right(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(service.socket.socket, "bind", no_right)
        assert "ports below 1024 need more rights" in await refusal("127.0.0.1:80")
    with monkeypatch.context() as patch:
        patch.setattr(service.socket, "getaddrinfo", lambda *_, **__: [])
        assert "it has no address" in await refusal("127.0.0.1:0")
