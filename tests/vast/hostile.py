"""An ad server that means harm, a port that nobody may reach, and what resolves against them.

The ad server is at 127.0.0.2, which the guard lets through; the port is on 127.0.0.1, which it
doesn't. Names resolve as `NAMES` says. `python -m vast.hostile PORT` attacks itself and prints by
how many MiB the process has grown.
"""

import asyncio
import gzip
import io
import re
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from xsp.vast.v1 import resolution_pb2
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1.resolve_options_pb2 import ResolveOptions
from xsp_server.upstream.guard import GuardSettings
from xsp_server.upstream.vast_upstream import VastSettings, VastUpstream
from xsp_server.vast.resolver import VastChainResolver

AD_SERVER, INSIDE = "127.0.0.2", "127.0.0.1"
HOP_MS, TOTAL_MS = 700, 2000
MIB = 1 << 20

NAMES = {
    "ads.test": [AD_SERVER],
    "loopback.test": [INSIDE],
    "ipv6.test": ["::1"],
    "mapped.test": [f"::ffff:{INSIDE}"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "six-to-four.test": ["2002:7f00:1::"],
    "any.test": ["0.0.0.0"],  # noqa: S104 - as a stranger's name server may say
    "private.test": ["10.0.0.1"],
    "link.test": ["fe80::1"],
    "unique.test": ["fd00::1"],
    "cloud.test": ["169.254.169.254"],
    "mixed.test": [AD_SERVER, INSIDE],
}
"""What the name servers of strangers say."""

TO_INSIDE = (
    *(f"http://{name}:{{port}}/" for name in NAMES if name != "ads.test"),
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://127.0.0.01:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://１２７.0.0.1:{port}/",  # noqa: RUF001 - full-width digits
    "http://127。0。0。1:{port}/",
    "http://ads.test@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@ads.test/",
    "http://ads.test\\@127.0.0.1:{port}/",
)
"""Ways to the port that nobody may reach."""

NO_HTTP = (
    "file://{file}",
    "FILE://{file}",
    "file://localhost{file}",
    "data:text/xml,<VAST version='4.2'><Ad><InLine/></Ad></VAST>",
    "data:text/xml;base64,PFZBU1QvPg==",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "javascript:alert(1)",
    "unix:///run/x.sock",
    "jar:file://{file}!/",
    "view-source:file://{file}",
)
"""Addresses that no web server has."""


def vast(inside: str = "", before: str = "") -> bytes:
    return f'{before}<VAST version="4.2">{inside}</VAST>'.encode()


def title(text: str) -> str:
    """An InLine that would show what an entity became."""
    return f'<Ad id="1"><InLine><AdSystem>a</AdSystem><AdTitle>{text}</AdTitle></InLine></Ad>'


def wrapper(uri: str) -> str:
    escaped = uri.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<Ad><Wrapper><AdSystem>w</AdSystem><Error>http://w.test/[ERRORCODE]</Error>"
        f"<VASTAdTagURI>{escaped}</VASTAdTagURI></Wrapper></Ad>"
    )


_LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
MALFORMED = lists.FAILURE_REASON_XML_MALFORMED
DOCTYPE = lists.FAILURE_REASON_DOCTYPE_REFUSED
COMPLEX = lists.FAILURE_REASON_DOCUMENT_TOO_COMPLEX
LARGE = lists.FAILURE_REASON_BODY_TOO_LARGE
LATE = lists.FAILURE_REASON_HOP_TIMEOUT
BROKEN = lists.FAILURE_REASON_CONNECTION_FAILED

DOCUMENTS: dict[str, tuple[Callable[[str, int], bytes], int]] = {
    "billion laughs": (
        lambda *_: vast(title("&l9;"), f'<!DOCTYPE VAST [<!ENTITY l0 "lol">{_LOL}]>'),
        DOCTYPE,
    ),
    "quadratic blowup": (
        lambda *_: vast(title("&a;" * 9000), f'<!DOCTYPE v [<!ENTITY a "{"x" * 90_000}">]>'),
        DOCTYPE,
    ),
    "entity that holds itself": (
        lambda *_: vast(title("&a;"), '<!DOCTYPE v [<!ENTITY a "&b;"><!ENTITY b "&a;">]>'),
        DOCTYPE,
    ),
    "external entity of a file": (
        lambda file, _: vast(title("&x;"), f'<!DOCTYPE v [<!ENTITY x SYSTEM "file://{file}">]>'),
        DOCTYPE,
    ),
    "external entity of a port": (
        lambda _, port: vast(
            title("&x;"), f'<!DOCTYPE v [<!ENTITY x SYSTEM "http://127.0.0.1:{port}/">]>'
        ),
        DOCTYPE,
    ),
    "external parameter entity": (
        lambda _, port: vast(
            title("x"), f'<!DOCTYPE v [<!ENTITY % x SYSTEM "http://127.0.0.1:{port}/">%x;]>'
        ),
        DOCTYPE,
    ),
    "external DTD": (
        lambda _, port: vast(title("x"), f'<!DOCTYPE v SYSTEM "http://127.0.0.1:{port}/x.dtd">'),
        DOCTYPE,
    ),
    "DTD behind UTF-16": (
        lambda file, _: (
            vast(title("&x;"), f'<!DOCTYPE v [<!ENTITY x SYSTEM "file://{file}">]>')
            .decode()
            .encode("utf-16")
        ),
        DOCTYPE,
    ),
    "entity without a DTD": (lambda *_: vast(title("&x;")), MALFORMED),
    "a million empty ads": (lambda *_: vast("<Ad/>" * 1_000_000), LARGE),
    "empty ads within the bytes": (lambda *_: vast("<Ad/>" * 200_000), COMPLEX),
    "attributes within the bytes": (
        lambda *_: vast("<Ad " + " ".join(f"a{n:x}=''" for n in range(100_000)) + "/>"),
        COMPLEX,
    ),
    "nesting": (lambda *_: vast("<a>" * 20_000 + "</a>" * 20_000), COMPLEX),
    "nesting without end": (lambda *_: b"<VAST>" + b"<a>" * 49_000, MALFORMED),
    "a long name": (lambda *_: vast(f"<{'a' * 1_000_000}>"), MALFORMED),
    "an open comment": (lambda *_: b"<!--" * 250_000, MALFORMED),
    "zero bytes": (lambda *_: bytes(MIB), MALFORMED),
}
"""Documents to be refused, made of a file's and a port's names, and the rule that does it."""


def harmless(file: str, port: int) -> dict[str, bytes]:
    """Documents that are read, and must not make anybody read anything else."""
    include = f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file://{file}"/>'
    style = f'<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:{port}/"?>'
    schema = (
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:noNamespaceSchemaLocation="http://127.0.0.1:{port}/"'
    )
    return {
        "XInclude": vast(title(f"x{include}")),
        "stylesheet": vast(title("x"), style),
        "schema location": vast(title("x")).replace(b"<VAST", f"<VAST{schema}".encode()),
    }


Pieces = Iterable[bytes | float]
"""Bytes to send, and seconds to wait."""


def _ok(*headers: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", "Content-Type: text/xml", *headers, "", "")).encode()


def _endless(piece: bytes, wait: float = 0.0) -> Pieces:
    while True:
        yield piece
        yield wait


def _body(*headers: str, then: Pieces) -> Pieces:
    yield _ok(*headers)
    yield from then


_WINDOWS = {"gzip": 31, "deflate": 15, "raw deflate": -15}


@cache
def _packed(coding: str, size: int = 64 * MIB) -> bytes:
    """So many bytes of a document's beginning and white space, packed without holding them."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOWS[coding])
    out = io.BytesIO()
    out.write(packer.compress(b"<VAST>"))
    for _ in range(size // MIB):
        out.write(packer.compress(b" " * MIB))
    out.write(packer.flush())
    return out.getvalue()


def _members(number: int) -> bytes:
    return gzip.compress(b"", mtime=0) * number + gzip.compress(vast(title("x")), mtime=0)


def _moved(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def _chunk(size: int) -> bytes:
    return b"%x\r\n%b\r\n" % (size, b" " * size)


SLOW, REDIRECTS = LATE, lists.FAILURE_REASON_REDIRECT_LIMIT

ANSWERS: dict[str, tuple[Callable[[], Pieces], int]] = {
    "64 MB as announced": (
        lambda: _body(f"Content-Length: {64 * MIB}", then=_endless(b" " * 65_536)),
        LARGE,
    ),
    "64 MB in chunks": (
        lambda: _body("Transfer-Encoding: chunked", then=_endless(_chunk(65_536))),
        LARGE,
    ),
    "64 MB until the end": (lambda: _body(then=[b"<VAST>", *[b" " * MIB] * 64]), LARGE),
    "a length beyond all numbers": (
        lambda: _body("Content-Length: 99999999999999999999", then=[b"<VAST>"]),
        BROKEN,
    ),
    "gzip bomb": (
        lambda: _body("Content-Encoding: gzip", then=[_packed("gzip")]),
        LARGE,
    ),
    "deflate bomb": (
        lambda: _body("Content-Encoding: deflate", then=[_packed("deflate")]),
        LARGE,
    ),
    "raw deflate bomb": (
        lambda: _body("Content-Encoding: deflate", then=[_packed("raw deflate")]),
        LARGE,
    ),
    "gzip in gzip": (
        lambda: _body("Content-Encoding: gzip, gzip", then=[gzip.compress(_packed("gzip", MIB))]),
        BROKEN,
    ),
    "a million gzip members": (
        lambda: _body("Content-Encoding: gzip", then=[_members(40_000)]),
        BROKEN,
    ),
    "gzip that isn't": (lambda: _body("Content-Encoding: gzip", then=[b"<VAST/>"]), BROKEN),
    "drip of a body": (
        lambda: _body("Content-Length: 1000", then=_endless(b" ", 0.02)),
        SLOW,
    ),
    "drip of chunks": (
        lambda: _body("Transfer-Encoding: chunked", then=_endless(_chunk(1), 0.02)),
        SLOW,
    ),
    "drip of gzip": (
        lambda: _body("Content-Encoding: gzip", then=_endless(gzip.compress(b""), 0.02)),
        SLOW,
    ),
    "drip of a head": (
        lambda: [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n", 0.02] * 1000],
        SLOW,
    ),
    "drip of hints": (lambda: _endless(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02), SLOW),
    "silence": (lambda: [60.0], SLOW),
    "a head without end": (
        lambda: [b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 9000 + b"\r\n"] * 9000],
        BROKEN,
    ),
    "a header without end": (lambda: [b"HTTP/1.1 200 OK\r\nX: ", *[b"y" * MIB] * 64], BROKEN),
    "no HTTP": (lambda: [b"SSH-2.0-OpenSSH_9\r\n"], BROKEN),
    "redirect to itself": (lambda: [_moved("#")], REDIRECTS),
    "redirect back and forth": (lambda: [_moved("/redirect%20forth%20and%20back")], REDIRECTS),
    "redirect forth and back": (lambda: [_moved("/redirect%20back%20and%20forth")], REDIRECTS),
    "redirect that drips": (
        lambda: [0.3, _moved("/redirect%20that%20drips")],
        SLOW,
    ),
}
"""What the ad server says to a second hop, and the rule that refuses it."""


@dataclass
class Scene:
    """The ad server and the port.

    Attributes:
        file: with a secret in it.
        port: of the ad server.
        inside: the port that nobody may reach.
        visits: connections that came there.
        asked: paths that the ad server was asked for.
        tasks: answers under way.
    """

    file: str
    port: int = 0
    inside: int = 0
    visits: int = 0
    asked: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None] | None] = field(default_factory=set)

    def url(self, path: str) -> str:
        return f"http://ads.test:{self.port}/{path.replace(' ', '%20')}"

    async def visited(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody has come in."""
        self.visits += 1
        body = vast(title("inside"))
        writer.write(_ok(f"Content-Length: {len(body)}") + body)
        writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One answer, as nasty as its path says."""
        self.tasks.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()[1:].replace("%20", " ")
            self.asked.append(path)
            for piece in self._pieces(path):
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    writer.write(piece)
                    await writer.drain()
        writer.close()
        self.tasks.discard(asyncio.current_task())

    def _pieces(self, path: str) -> Pieces:
        kind, _, name = path.partition("/")
        if path in ANSWERS:
            return ANSWERS[path][0]()
        if kind == "document":
            body = (
                DOCUMENTS[name][0](self.file, self.inside)
                if name in DOCUMENTS
                else harmless(self.file, self.inside)[name]
            )
        elif kind == "to":  # a Wrapper to a path of ours
            body = vast(wrapper(self.url(name)))
        elif kind in {"wrap", "redirect"}:
            to = self.fill((*TO_INSIDE, *NO_HTTP)[int(name)])
            if kind == "redirect":
                return [_moved(to)]
            body = vast(wrapper(to))
        elif kind == "deeper":  # another address each time
            body = vast(wrapper(self.url(f"deeper/{name}x")))
        elif kind == "wider":
            body = vast("".join(wrapper(self.url(f"wider/{name}{n}.")) for n in range(50)))
        else:
            body = b""
        return [_ok(f"Content-Length: {len(body)}"), body]

    def fill(self, address: str) -> str:
        """An address with the port and the file in it."""
        return address.format(port=self.inside, file=self.file)


@asynccontextmanager
async def staged(file: Path) -> AsyncIterator[Scene]:
    """Both servers for as long as they are wanted."""
    scene = Scene(str(file))
    for coding in _WINDOWS:
        _packed(coding)  # takes long, and is not to be waited for later
    servers = [
        await asyncio.start_server(scene.serve, AD_SERVER, 0),
        await asyncio.start_server(scene.visited, INSIDE, 0),
    ]
    scene.port, scene.inside = (server.sockets[0].getsockname()[1] for server in servers)
    try:
        yield scene
    finally:
        for server in servers:
            server.close()
        for task in [*scene.tasks]:
            if task is not None:
                task.cancel()
                await task


async def look_up(host: str, _port: int) -> list[str]:
    """What the names of strangers lead to."""
    if host not in NAMES:
        raise OSError(-2, "no such name")
    return NAMES[host]


def upstream(*networks: str) -> VastUpstream:
    """The real thing, with the guard open for the ad server, and for `networks`."""
    settings = VastSettings(
        name="hostile",
        guard=GuardSettings(allow_networks=(f"{AD_SERVER}/32", *networks), ports=()),
    )
    return VastUpstream(settings, look_up)


OPTIONS = ResolveOptions(allow_multiple_ads=True)
OPTIONS.hop_timeout.FromMilliseconds(HOP_MS)
OPTIONS.total_timeout.FromMilliseconds(TOTAL_MS)


async def resolve(source: str | bytes, *networks: str) -> resolution_pb2.Resolution:
    """One resolution in the time of `OPTIONS`."""
    async with upstream(*networks) as ads:
        return await VastChainResolver(ads).resolve(source, options=OPTIONS)


def peak_mib() -> float:
    """The most memory that this process ever had, as Linux tells it.

    Not `ru_maxrss`: a child begins with that of its parent.
    """
    status = Path("/proc/self/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def attack_all(port: int) -> float:
    """Everything at once through one upstream; by how many MiB this process has grown."""
    scene = Scene("/nowhere", port)
    async with upstream() as ads:
        resolver = VastChainResolver(ads)
        await resolver.resolve(vast(title("warm")), options=OPTIONS)
        before = peak_mib()
        paths = [*ANSWERS, *(f"document/{name}" for name in DOCUMENTS), "deeper/", "wider/"]
        for path in paths:
            await resolver.resolve(scene.url(f"to/{path}"), options=OPTIONS)
    return peak_mib() - before


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(attack_all(int(sys.argv[1])))}\n")
