"""Names to checked addresses."""

import asyncio
import socket
import threading

import pytest

from xsp_server.upstream.guard import (
    AddressGuard,
    AddressRefused,
    CheckedResolver,
    GuardSettings,
    SystemLookUp,
)


def resolver(*addresses: str, **settings) -> CheckedResolver:
    async def look_up(_host, _port):
        return addresses

    return CheckedResolver(AddressGuard(GuardSettings(**settings)), look_up)


async def test_a_name_becomes_its_numeric_addresses_in_order():
    found = await resolver("2606:4700::1111", "8.8.8.8").resolve("a.example", 443)
    assert [(one["host"], one["port"], one["family"]) for one in found] == [
        ("2606:4700::1111", 443, socket.AF_INET6),
        ("8.8.8.8", 443, socket.AF_INET),
    ]
    assert all(one["hostname"] == "a.example" for one in found)
    assert all(one["flags"] & socket.AI_NUMERICHOST for one in found)


async def test_one_refused_address_refuses_them_all():
    with pytest.raises(AddressRefused) as caught:
        await resolver("8.8.8.8", "192.168.1.1").resolve("a.example", 80)
    assert caught.value.metadata == {"host": "a.example", "rule": "address.private"}
    assert "192.168.1.1" in str(caught.value)


async def test_addresses_of_another_family_are_left_out_but_checked():
    found = await resolver("2606:4700::1111", "8.8.8.8").resolve("a.example", 80, socket.AF_INET)
    assert [one["host"] for one in found] == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        await resolver("fd00::1", "8.8.8.8").resolve("a.example", 80, socket.AF_INET)


async def test_a_name_without_addresses_is_an_error():
    with pytest.raises(OSError, match=r"a\.example has no address"):
        await resolver().resolve("a.example", 80)
    with pytest.raises(OSError, match=r"a\.example has no address"):
        await resolver("8.8.8.8").resolve("a.example", 80, socket.AF_INET6)


async def test_closing_does_nothing():
    checked = resolver("8.8.8.8")
    await checked.close()
    assert await checked.resolve("a.example", 80)


async def test_the_system_knows_localhost():
    assert set(await SystemLookUp()("localhost", 80)) <= {"127.0.0.1", "::1"}


async def test_a_name_that_nobody_has_is_an_error():
    with pytest.raises(socket.gaierror):
        await SystemLookUp()("nobody.invalid", 80)


async def test_look_ups_that_hang_are_bounded_and_hold_up_nobody_else(monkeypatch):
    answer = threading.Event()

    def hang(*_args, **_kwargs):
        assert answer.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    look_up = SystemLookUp(at_once=2)
    hanging = [asyncio.ensure_future(look_up(f"{n}.example", 80)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many names are being looked up"):
        await look_up("third.example", 80)
    answer.set()
    assert await asyncio.gather(*hanging) == [["8.8.8.8"], ["8.8.8.8"]]
    assert await look_up("fourth.example", 80) == ["8.8.8.8"]


async def test_a_look_up_that_nobody_waits_for_ends_quietly(monkeypatch):
    answer, ended = threading.Event(), threading.Event()

    def hang(*_args, **_kwargs):
        assert answer.wait(10)
        ended.set()
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    look_up = SystemLookUp(at_once=1)
    waiting = asyncio.ensure_future(look_up("a.example", 80))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    answer.set()
    assert await asyncio.to_thread(ended.wait, 10)
