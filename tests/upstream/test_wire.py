"""Answers that are read at a glance: the same that aiohttp reads, or left to it."""

import asyncio
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from xsp_server.upstream.wire import Connector, Whereto, Whole, plain_answer

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b"<VAST/>"
LENGTH = b"Content-Length: 7\r\n"


def answer(*lines: bytes, status=OK, body=BODY) -> bytes:
    return status + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def test_an_answer_in_one_piece_is_read_at_a_glance():
    plain = plain_answer(
        answer(b"Content-Type: text/xml ", b"content-LENGTH:7", b"Set-Cookie: a=b")
    )
    assert plain is not None
    assert (plain.code, plain.body) == (200, BODY)
    assert plain.headers["content-type"] == "text/xml"
    assert plain.headers.getall("set-cookie") == ["a=b"]


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (b"HTTP/1.1 404 Not Found\r\n", BODY, b"Content-Length: 7"),
        (b"HTTP/1.1 302 Found\r\n", b"", b"Content-Length: 0"),
        (b"HTTP/1.1 200 \r\n", b"", b"Content-Length: 0"),
        (b"HTTP/1.1 204 No Content\r\n", b"", b"Date: x"),
        (b"HTTP/1.1 204 No Content\r\n", b"", b"Content-Length: 0"),
        (OK, BODY, b"Content-Length: 7\r\nConnection: Keep-Alive"),
    ],
)
def test_so_are_other_statuses_and_answers_without_a_body(status, body, line):
    plain = plain_answer(answer(line, status=status, body=body))
    assert plain is not None
    assert plain.body == body


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(answer(b"Content-Length: 8"), id="more to come"),
        pytest.param(answer(b"Content-Length: 6"), id="more than it says"),
        pytest.param(answer(), id="until the end"),
        pytest.param(answer(b"Content-Length: 7", b"Content-Length: 7"), id="two lengths"),
        pytest.param(answer(b"Content-Length: 7", b"content-length: 9"), id="lengths that differ"),
        pytest.param(answer(b"Content-Length: 7, 7"), id="a list of lengths"),
        pytest.param(answer(b"Content-Length: +7"), id="a sign"),
        pytest.param(answer(b"Content-Length: 0x7"), id="a hexadecimal length"),
        pytest.param(answer(b"Content-Length: \xd9\xa7"), id="another alphabet's digits"),
        pytest.param(
            answer(b"Transfer-Encoding: chunked", b"Content-Length: 7"), id="two framings"
        ),
        pytest.param(answer(b"Transfer-Encoding: identity", b"Content-Length: 7"), id="identity"),
        pytest.param(answer(b"Content-Length: 7", b"Connection: close"), id="the last one"),
        pytest.param(
            answer(b"Content-Length: 7", b"Proxy-Connection: close"), id="the last one of a proxy"
        ),
        pytest.param(answer(b"Content-Length: 7", b"Upgrade: h2c"), id="upgrade"),
        pytest.param(answer(b"Content-Length : 7"), id="a blank before the colon"),
        pytest.param(answer(b"X: a", b" b", b"Content-Length: 7"), id="a folded line"),
        pytest.param(answer(b"X: a\nY: b", b"Content-Length: 7"), id="a bare line feed"),
        pytest.param(answer(b"X: a\rY: b", b"Content-Length: 7"), id="a bare return"),
        pytest.param(answer(b"X: a\0b", b"Content-Length: 7"), id="a zero"),
        pytest.param(answer(b"X: \xe4", b"Content-Length: 7"), id="no ASCII"),
        pytest.param(answer(b": a", b"Content-Length: 7"), id="no name"),
        pytest.param(answer(b"X" * 9000 + b": a", b"Content-Length: 7"), id="a long head"),
        pytest.param(
            answer(*(b"X%d: a" % one for one in range(100)), b"Content-Length: 7"), id="many lines"
        ),
        pytest.param(answer(b"Content-Length: 7", status=b"HTTP/1.0 200 OK\r\n"), id="HTTP/1.0"),
        pytest.param(answer(b"Content-Length: 7", status=b"HTTP/2 200 OK\r\n"), id="HTTP/2"),
        pytest.param(answer(b"Content-Length: 7", status=b"HTTP/1.1 2000 OK\r\n"), id="2000"),
        pytest.param(
            answer(status=b"HTTP/1.1 100 Continue\r\n", body=answer(LENGTH[:-2])), id="continue"
        ),
        pytest.param(answer(b"Content-Length: 7", status=b"HTTP/1.1 304 X\r\n"), id="304"),
        pytest.param(answer(b"Content-Length: 7", status=b"HTTP/1.1 204 X\r\n"), id="204, a body"),
        pytest.param(OK + LENGTH, id="half a head"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_whatever_may_mean_something_else_is_left_to_aiohttp(data):
    assert plain_answer(data) is None


async def read_by_aiohttp(data):
    protocol = ResponseHandler(asyncio.get_running_loop())
    protocol.set_response_params(read_until_eof=True, auto_decompress=False, max_field_size=16_384)
    protocol.data_received(data)
    head, body = await protocol.read()
    assert body.is_eof()
    assert not protocol.should_close
    return head.code, in_lower_case(head.headers), await body.read()


def in_lower_case(headers):
    return [(name.lower(), value) for name, value in headers.items()]


SHOWN = st.characters(min_codepoint=32, max_codepoint=126)
NAMES = st.text("abcXYZ-_!#$%&'*+.^`|~09", min_size=1, max_size=6)
GOOD = st.one_of(
    st.tuples(NAMES, st.text(SHOWN, max_size=8)).map(lambda pair: ": ".join(pair).encode()),
    st.sampled_from([b"Connection: keep-alive", b"Set-Cookie: a=b; Path=/", b"X:", b"Y: \t a\t "]),
)
ODD = st.one_of(
    st.binary(max_size=12),
    st.tuples(NAMES, st.text(max_size=8)).map(lambda pair: ": ".join(pair).encode()),
    st.sampled_from(
        [
            *(b"content-length:7\t", b"Connection: close", b"Transfer-Encoding: chunked"),
            *(b"Proxy-Connection: close", b"Keep-Alive: timeout=0", b"Trailer: X"),
        ]
    ),
)
LINES = st.one_of(
    st.lists(GOOD, max_size=5),
    st.lists(st.one_of(GOOD, ODD), max_size=5),
)
STATUSES = st.sampled_from(
    [OK, b"HTTP/1.1 404 \r\n", b"HTTP/1.1 302 Found\r\n", b"HTTP/1.1 599 !\r\n"]
)


@settings(deadline=None)  # each makes an event loop
@given(lines=LINES, status=STATUSES, place=st.integers(0, 5))
def test_what_is_read_at_a_glance_is_what_aiohttp_reads(lines, status, place):
    length = (b"Content-Length: 7", b"content-length:07 ")[place % 2]
    data = answer(*lines[:place], length, *lines[place:], status=status)
    plain = plain_answer(data)
    if plain is None:
        return
    code, headers, body = asyncio.run(read_by_aiohttp(data))
    assert (plain.code, in_lower_case(plain.headers), plain.body) == (code, headers, body)


async def test_a_whole_body_is_read_once_and_its_connection_is_free_before_that():
    body = Whole(b"abc")
    assert body.is_eof()
    assert not body.at_eof()
    assert await body.readany() == b"abc"
    assert body.at_eof()
    assert await body.readany() == b""


@asynccontextmanager
async def connected(*says: bytes):
    """A connection to a server that answers each request with the next of these."""
    answers, serving = iter(says), []

    async def serve(reader, writer):
        serving.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(next(answers))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connector = Connector(limit=1)
    url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    request = Whereto("GET", url, loop=asyncio.get_running_loop())

    async def connect():
        return await connector.connect(request, [], aiohttp.ClientTimeout())

    try:
        yield connect
    finally:
        await connector.close()
        server.close()
        await asyncio.gather(*serving)


async def ask(connection, **terms):
    connection.protocol.send(b"GET / HTTP/1.1\r\n\r\n", read_until_eof=True, **terms)
    head, body = await connection.protocol.read()
    pieces = [piece async for piece in _pieces(body)]
    return head, b"".join(pieces)


async def _pieces(body):
    while piece := await body.readany():
        yield piece


CHUNKED = answer(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
PLAIN = answer(b"Content-Length: 7")


async def test_plain_and_other_answers_may_follow_each_other_on_one_connection():
    async with connected(PLAIN, CHUNKED, PLAIN, CHUNKED) as connect:
        ports, bodies = set(), []
        for _ in range(4):
            connection = await connect()
            ports.add(connection.transport.get_extra_info("sockname"))
            bodies.append((await ask(connection))[1])
            connection.release()
    assert bodies == [BODY, b"abc", BODY, b"abc"]
    assert len(ports) == 1


async def test_a_packed_answer_is_unpacked_where_that_is_wanted():
    packed = answer(b"Content-Length: 3", b"Content-Encoding: br2", body=b"abc")
    async with connected(packed, packed) as connect:
        connection = await connect()
        head, body = await ask(connection, auto_decompress=False)
        assert (head.headers["Content-Encoding"], body) == ("br2", b"abc")
        connection.release()
        connection = await connect()
        connection.protocol.send(b"GET / HTTP/1.1\r\n\r\n", auto_decompress=True)
        _, body = await connection.protocol.read()
        assert not isinstance(body, Whole)
        connection.close()


async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer():
    async with connected(PLAIN) as connect:
        connection = await connect()
        await ask(connection)
        connection.protocol.data_received(answer(b"Content-Length: 7", body=b"another"))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            connection.protocol.send(b"GET / HTTP/1.1\r\n\r\n")
        connection.close()


async def test_what_is_no_http_is_aiohttps_error():
    async with connected(b"SSH-2.0-x\r\n\r\n") as connect:
        connection = await connect()
        with pytest.raises(HttpProcessingError):
            await ask(connection)
        connection.close()


async def test_an_aiohttp_that_makes_connections_in_another_way_is_told(monkeypatch):
    monkeypatch.setattr(aiohttp.TCPConnector, "__init__", lambda _: None)
    with pytest.raises(RuntimeError, match=r"aiohttp \S+: no _factory"):
        Connector()
