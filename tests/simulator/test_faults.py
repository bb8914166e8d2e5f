"""What each fault sends over the wire, read without an HTTP client's good will."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvloop

from xsp_server.openrtb import codec
from xsp_server.simulator import BidderModel, BidderSettings, Fault, FaultSettings, HttpSimulator

MODEL = BidderModel(BidderSettings())


@asynccontextmanager
async def sent(simulator, request):
    """Posts the request over a bare socket and gives the reader, for ten seconds at most."""
    body = codec.write(request)
    head = f"POST /openrtb2 HTTP/1.1\r\nHost: simulator\r\nContent-Length: {len(body)}\r\n\r\n"
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(simulator.host, simulator.port)
        try:
            writer.write(head.encode() + body)
            yield reader
        finally:
            writer.transport.abort()


def simulator(fault, *, sleep=asyncio.sleep, model=MODEL, **settings):
    return HttpSimulator(model, fault=FaultSettings(fault=fault, **settings), sleep=sleep)


async def headers(reader) -> tuple[str, dict[str, str]]:
    """Status line and headers."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    return status, {name.lower(): value for name, value in (li.split(": ", 1) for li in lines)}


async def answer(reader) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and a body of the length they state."""
    status, head = await headers(reader)
    return status, head, await reader.readexactly(int(head["content-length"]))


def right(request) -> bytes:
    return codec.write(MODEL.plan(request).response)


async def half_a_body_then_reset(request):
    async with simulator(Fault.RESET) as broken, sent(broken, request) as reader:
        status, head = await headers(reader)
        assert status == "HTTP/1.1 200 OK"
        assert int(head["content-length"]) == len(right(request))
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)


async def test_reset_ends_the_body_half_way_with_a_tcp_reset(banner_request):
    await half_a_body_then_reset(banner_request)


def test_reset_works_on_uvloop_as_well(banner_request):
    uvloop.run(half_a_body_then_reset(banner_request))


async def test_slow_headers_come_line_by_line(banner_request, steps):
    broken = simulator(Fault.SLOW_HEADERS, sleep=steps, pause_ms=700)
    async with broken, sent(broken, banner_request) as reader:
        assert await steps.begun.get() == 0  # the latency of the model
        for line in (
            b"HTTP/1.1 200 OK",
            b"Content-Type: ",
            b"Content-Length: ",
            b"Connection",
            b"",
        ):
            steps.ends.put_nowait(None)
            assert await steps.begun.get() == 0.7
            assert (await reader.readline()).startswith(line)
            assert not reader._buffer
        steps.ends.put_nowait(None)
        assert await reader.read(-1) == right(banner_request)


async def test_slow_headers_end_when_the_client_goes(banner_request, steps, until):
    broken = simulator(Fault.SLOW_HEADERS, sleep=steps)
    async with broken:
        async with sent(broken, banner_request) as reader:
            await steps.begun.get()
            steps.ends.put_nowait(None)
            await reader.readline()
        await until(lambda: not broken._at_work)


async def test_slow_body_comes_byte_by_byte(banner_request, steps, until):
    expected = right(banner_request)
    broken = simulator(Fault.SLOW_BODY, sleep=steps, pause_ms=300)
    async with broken, sent(broken, banner_request) as reader:
        await steps.begun.get()
        steps.ends.put_nowait(None)
        assert int((await headers(reader))[1]["content-length"]) == len(expected)
        for byte in expected:
            assert await steps.begun.get() == 0.3
            assert await reader.readexactly(1) == bytes([byte])
            assert not reader._buffer
            steps.ends.put_nowait(None)
        await until(lambda: not broken._at_work)


async def test_garbage_is_no_json_under_the_name_of_json(banner_request):
    async with simulator(Fault.GARBAGE) as broken, sent(broken, banner_request) as reader:
        status, head, body = await answer(reader)
    assert (status, head["content-type"]) == ("HTTP/1.1 200 OK", "application/json")
    with pytest.raises(ValueError, match="utf-8"):
        json.loads(body)


async def test_content_type_is_wrong_on_a_right_answer(banner_request):
    async with simulator(Fault.CONTENT_TYPE) as broken, sent(broken, banner_request) as reader:
        status, head, body = await answer(reader)
    assert (status, head["content-type"]) == ("HTTP/1.1 200 OK", "text/html; charset=utf-8")
    assert body == right(banner_request)


async def test_status_500_has_no_answer(banner_request):
    async with simulator(Fault.STATUS_500) as broken, sent(broken, banner_request) as reader:
        status, _, body = await answer(reader)
    assert status == "HTTP/1.1 500 Internal Server Error"
    assert body == b"simulated fault"


@pytest.mark.parametrize("size", [1, 100_000, 300_000])
async def test_huge_body_is_right_json_of_the_size_that_was_set(banner_request, size):
    broken = simulator(Fault.HUGE_BODY, huge_bytes=size)
    async with broken, sent(broken, banner_request) as reader:
        _, head = await headers(reader)
        assert head["transfer-encoding"] == "chunked"
        assert "content-length" not in head
        body = b""
        while length := int(await reader.readline(), 16):
            body += await reader.readexactly(length)
            await reader.readline()
    assert len(body) == max(size, len(right(banner_request)))
    assert json.loads(body) == json.loads(right(banner_request))


async def test_huge_body_ends_when_the_client_goes(banner_request, until):
    broken = simulator(Fault.HUGE_BODY, huge_bytes=10**12)
    async with broken:
        async with sent(broken, banner_request) as reader:
            await reader.readexactly(1000)
        await until(lambda: not broken._at_work)


async def test_wrong_id_is_the_only_thing_wrong(banner_request):
    async with simulator(Fault.WRONG_ID) as broken, sent(broken, banner_request) as reader:
        _, _, body = await answer(reader)
    expected = json.loads(right(banner_request))
    assert json.loads(body) == {**expected, "id": "not-auction-1"}


async def test_hang_keeps_the_connection_and_says_nothing(banner_request, until):
    async with simulator(Fault.HANG) as broken, sent(broken, banner_request) as reader:
        await until(lambda: broken._at_work)
        async with aiohttp.ClientSession() as healthy:
            url = f"http://{broken.host}:{broken.port}/healthz"
            await (await healthy.get(url)).read()  # there was time to answer both
        assert broken._at_work
        await broken.stop()
        assert await reader.read(-1) == b""


async def test_a_fault_strikes_no_bids_as_well(banner_request):
    broken = simulator(Fault.WRONG_ID, model=BidderModel(BidderSettings(no_bid_rate=1)))
    async with broken, sent(broken, banner_request) as reader:
        status, _, body = await answer(reader)
    assert (status, json.loads(body)) == ("HTTP/1.1 200 OK", {"id": "not-auction-1"})


async def test_a_fault_can_be_switched_on_and_off(banner_request):
    async with HttpSimulator(MODEL) as changing:
        for fault, status in ((None, "200"), (Fault.STATUS_500, "500"), (None, "200")):
            changing.fault = fault and FaultSettings(fault=fault)
            async with sent(changing, banner_request) as reader:
                assert (await answer(reader))[0].split()[1] == status


@pytest.mark.parametrize("fault", Fault)
async def test_no_fault_is_a_bug_of_the_server(banner_request, fault, recorder, caplog):
    broken = simulator(fault, sleep=recorder, huge_bytes=1000)
    async with broken, sent(broken, banner_request) as reader:
        if fault is not Fault.HANG:
            await reader.readexactly(12)
    assert not caplog.records
