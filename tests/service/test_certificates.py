"""Certificates that are renewed while the server runs: its own, and those of bidders."""

import asyncio
import json
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from aiohttp import web

from upstream.certificates import Authority
from xsp_server.config import Settings, TlsSettings
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.service import tls
from xsp_server.service.live import LiveExchange
from xsp_server.service.reload import SettingsFile
from xsp_server.upstream import endpoint
from xsp_server.upstream.http import HttpSettings

ALIVE = "/grpc.health.v1.Health/Check"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Two who trust nobody but themselves."""
    return [Authority.make(tmp_path_factory.mktemp(name)) for name in ("old", "new")]


@pytest.fixture(scope="module")
def pairs(authorities):
    """A certificate for localhost of each."""
    return [authority.sign("localhost") for authority in authorities]


def put(file, content):
    """Replaces a file in one step."""
    new = file.with_suffix(".new")
    new.write_bytes(content.read_bytes())
    new.replace(file)


@pytest.fixture
def files(tmp_path, pairs):
    """Certificate and key as settings name them, and what renews them."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def renew(which):
        put(key, pairs[which].key)
        put(cert, pairs[which].cert)

    renew(0)
    return cert, key, renew


# The server's own


@pytest.fixture
def connect(authorities):
    """A channel of its own to a server, trusting one of the authorities."""

    def open_(address, trusting, shown=None):
        options = [("grpc.use_local_subchannel_pool", 1)]
        root = authorities[trusting].pair.cert.read_bytes()
        own = () if shown is None else (shown.key.read_bytes(), shown.cert.read_bytes())
        credentials = grpc.ssl_channel_credentials(root, *own)
        return grpc.aio.secure_channel(address, credentials, options)

    return open_


async def answered(channel):
    """Whether there is an answer; without one there was no connection to ask over."""
    call = channel.unary_unary(ALIVE)(b"", timeout=10)
    code = await call.code()
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    return code is grpc.StatusCode.OK


async def test_a_renewed_certificate_is_shown_from_the_next_connection_on(serve, files, connect):
    cert, key, renew = files
    section = {"listen": "localhost:0", "tls": {"cert": cert, "key": key}}
    server = await serve(server=section)
    assert server.certificate_files == [key, cert]
    async with connect(server.address, 0) as early:
        assert await answered(early)
        renew(1)
        async with connect(server.address, 0) as unaware:
            assert await answered(unaware)  # nobody has looked at the files yet
        server.renew_certificates()
        async with connect(server.address, 1) as late, connect(server.address, 0) as other:
            assert await answered(late)
            assert not await answered(other)
        assert await answered(early)
    renew(0)
    server.renew_certificates()
    async with connect(server.address, 0) as again:
        assert await answered(again)


async def test_renewed_authorities_of_callers_hold_from_the_next_connection_on(  # noqa: PLR0917
    serve, files, connect, tmp_path, authorities, pairs
):
    cert, key, _ = files
    put(client_ca := tmp_path / "ca.pem", authorities[0].pair.cert)
    section = {
        "listen": "localhost:0",
        "tls": {"cert": cert, "key": key, "client_ca": client_ca},
    }
    server = await serve(server=section)
    put(client_ca, authorities[1].pair.cert)
    server.renew_certificates()
    async with connect(server.address, 0, pairs[1]) as known:
        assert await answered(known)
    async with connect(server.address, 0, pairs[0]) as unknown, connect(server.address, 0) as bare:
        assert not await answered(unknown)
        assert not await answered(bare)


async def test_a_certificate_that_is_wrong_changes_nothing_but_what_is_right(  # noqa: PLR0917
    serve, files, connect, pairs, authorities, tmp_path
):
    cert, key, _ = files
    put(ca := tmp_path / "ca.pem", authorities[0].pair.cert)
    bidder = {"type": "http", "name": "a", "endpoint": "https://localhost:1/", "ca": str(ca)}
    section = {"listen": "localhost:0", "tls": {"cert": cert, "key": key}}
    server = await serve(bidder, server=section)
    assert server.certificate_files == [key, cert, ca]
    put(cert, pairs[1].cert)  # and the key is still the other one's
    put(ca, authorities[1].pair.cert)
    before = server._exchange._now.desks[0].bidder
    with pytest.raises(ConfigError, match=r"server.tls.cert: .*cert.pem: .* private key"):
        server.renew_certificates()
    assert server._exchange._now.desks[0].bidder is not before
    async with connect(server.address, 0) as channel:
        assert await answered(channel)
    key.unlink()
    with pytest.raises(ConfigError, match=r"server.tls.key: .*key.pem: No such file"):
        server.renew_certificates()


@pytest.mark.parametrize("name", ["cert", "client_ca"])
def test_a_file_that_goes_while_it_is_read_is_told(files, tmp_path, monkeypatch, name):
    cert, key, _ = files
    (ca := tmp_path / "ca.pem").write_bytes(cert.read_bytes())
    settings = TlsSettings(cert=cert, key=key, client_ca=ca)
    paths = tls._read(settings)
    monkeypatch.setattr(tls, "_pem", lambda _, path: paths[path])
    getattr(settings, name).unlink()
    with pytest.raises(ConfigError, match=rf"server.tls.{name}: .*: no such file"):
        tls._read(settings)


@pytest.mark.parametrize("name", ["client_cert", "ca"])
def test_so_is_one_of_a_bidder(files, monkeypatch, name):
    cert, key, _ = files
    own = {"client_cert": cert, "client_key": key} if name == "client_cert" else {"ca": cert}
    settings = HttpSettings(name="a", endpoint="https://a.example/", **own)
    monkeypatch.setattr(endpoint, "read_pem", lambda _: b"")
    cert.unlink()
    with pytest.raises(ConfigError, match=r"cert.pem: no such file"):
        endpoint.ssl_context(settings)


@pytest.mark.parametrize("name", ["cert", "client_ca"])
async def test_a_file_that_is_no_certificate_keeps_the_server_from_starting(
    serve, files, tmp_path, name
):
    cert, key, _ = files
    (bad := tmp_path / "bad.pem").write_text("no certificate")
    tls = {"cert": cert, "key": key, name: bad}
    with pytest.raises(ConfigError, match=rf"server.tls.{name}: .*bad.pem: .* in PEM format"):
        await serve(server={"listen": "localhost:0", "tls": tls})


async def test_a_running_server_sees_renewed_certificates_by_itself(tmp_path, files, connect):
    cert, key, renew = files
    settings = tmp_path / "xsp.toml"
    settings.write_text(
        f'[server]\nlisten = "localhost:0"\ntls = {{ cert = "{cert}", key = "{key}" }}\n'
        '[log]\nformat = "json"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "xsp"), "serve", "--config", str(settings)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            address = await _said(process, "address")
            async with connect(address, 0) as before:
                assert await answered(before)
            renew(1)
            await _said(process, "files")
            async with connect(address, 1) as after:
                assert await answered(after)
    finally:
        process.terminate()
        await process.communicate()
        assert process.returncode == 0


async def _said(process, key):
    """What the log says under a key, as soon as it does."""
    while True:
        line = await process.stderr.readline()
        assert line, "the server has gone"
        event = json.loads(line) if line.startswith(b"{") else {}
        if key in event:
            return event[key]


# Bidders


@asynccontextmanager
async def http_bidder(pair, client_ca=None):
    """No bids over TLS; the section of its bidder."""

    async def answer(_):
        return web.Response(status=204)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 tells only after the handshake
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    try:
        yield {"type": "http", "endpoint": f"https://localhost:{port}/"}
    finally:
        await runner.cleanup()


@asynccontextmanager
async def grpc_bidder(pair, client_ca=None):
    """Likewise over gRPC."""

    async def bid(_request, _context):
        return b""

    handler = grpc.unary_unary_rpc_method_handler(bid)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", {"Bid": handler})]
    )
    credentials = grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.cert.read_bytes())],
        root_certificates=None if client_ca is None else client_ca.read_bytes(),
        require_client_auth=client_ca is not None,
    )
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    try:
        yield {"type": "grpc", "endpoint": f"localhost:{port}"}
    finally:
        await server.stop(None)


BIDDERS = pytest.mark.parametrize("serving", [http_bidder, grpc_bidder])


async def outcome(exchange, request):
    request.tmax = 5000
    (reply,) = (await exchange.run(request, None)).replies
    return reply.outcome


@BIDDERS
async def test_renewed_authorities_of_a_bidder_are_trusted_though_its_section_is_the_same(
    serving, tmp_path, authorities, pairs, sample
):
    put(ca := tmp_path / "ca.pem", authorities[0].pair.cert)
    async with serving(pairs[1]) as section:
        settings = Settings(bidders=[{**section, "name": "a", "ca": str(ca)}])
        exchange = LiveExchange(settings)
        assert exchange.certificate_files == [ca]
        assert await outcome(exchange, sample) is Outcome.UNREACHABLE
        put(ca, authorities[1].pair.cert)
        assert exchange.renew_certificates() == ["a"]
        assert await outcome(exchange, sample) is Outcome.NO_BID
        await exchange.close()


@BIDDERS
async def test_a_renewed_certificate_of_ours_is_shown_to_a_bidder(
    serving, files, authorities, pairs, sample
):
    cert, key, renew = files
    async with serving(pairs[0], authorities[1].pair.cert) as section:
        own = {"ca": str(authorities[0].pair.cert), "client_cert": str(cert)}
        settings = Settings(bidders=[{**section, **own, "name": "a", "client_key": str(key)}])
        exchange = LiveExchange(settings)
        assert await outcome(exchange, sample) is Outcome.UNREACHABLE
        renew(1)
        exchange.change(settings)  # as when the settings are read again, and are the same
        assert await outcome(exchange, sample) is Outcome.NO_BID
        await exchange.close()


async def test_a_bidder_whose_certificates_are_wrong_stays_as_it_was(
    files, authorities, pairs, sample
):
    cert, key, _ = files
    async with http_bidder(pairs[0], authorities[0].pair.cert) as section:
        own = {"ca": str(authorities[0].pair.cert), "client_cert": str(cert)}
        settings = Settings(bidders=[{**section, **own, "name": "a", "client_key": str(key)}])
        exchange = LiveExchange(settings)
        put(cert, pairs[1].cert)  # and the key is still the other one's
        with pytest.raises(ConfigError, match=r"cert.pem: .* private key"):
            exchange.renew_certificates()
        assert await outcome(exchange, sample) is Outcome.NO_BID
        key.unlink()
        with pytest.raises(ConfigError, match=r"key.pem: No such file"):
            exchange.renew_certificates()
        assert await outcome(exchange, sample) is Outcome.NO_BID
        await exchange.close()


async def test_a_bidder_whose_certificates_stay_keeps_its_connection(authorities, pairs, sample):
    ca = str(authorities[0].pair.cert)
    async with http_bidder(pairs[0]) as section:
        settings = Settings(bidders=[{**section, "name": "a", "ca": ca}])
        exchange = LiveExchange(settings)
        assert await outcome(exchange, sample) is Outcome.NO_BID
        before = exchange._now.desks[0].bidder
        assert exchange.renew_certificates() == []
        exchange.change(settings)
        assert exchange._now.desks[0].bidder is before
        await exchange.close()


# What is looked at


class Holder:
    """Has certificates; counts how often they are renewed."""

    def __init__(self, *files, wrong=False):
        self.certificate_files = files
        self.renewed = asyncio.Queue()
        self.wrong = wrong

    def renew_certificates(self):
        self.renewed.put_nowait(None)
        if self.wrong:
            raise ConfigError("no certificate")


@pytest.fixture
async def watch(tmp_path):
    """Watches a file of settings and the files of a holder; the settings that are taken."""
    watches = []
    (file := tmp_path / "xsp.toml").write_text("")

    def begin(holder):
        taken = asyncio.Queue()
        source = SettingsFile(file, taken.put_nowait, holder)
        watches.append(asyncio.create_task(source.watch(every=0.01)))
        return file, source, taken

    yield begin
    for each in watches:
        each.cancel()


async def next_of(queue):
    async with asyncio.timeout(10):
        return await queue.get()


async def test_files_of_certificates_are_watched_like_the_settings(tmp_path, watch):
    (cert := tmp_path / "cert.pem").write_text("old")
    _, _, taken = watch(holder := Holder(cert))
    await next_of(holder.renewed)
    cert.write_text("renewed")
    await next_of(holder.renewed)
    cert.unlink()  # says nothing: somebody may be about to put another in its place
    cert.write_text("renewed again")
    await next_of(holder.renewed)
    assert taken.empty()  # of settings that stay nothing is changed


async def test_certificates_are_looked_at_once_however_early_they_changed(tmp_path, watch):
    """After they were read and before anybody watched them, nobody would see it."""
    (cert := tmp_path / "cert.pem").write_text("renewed while the server started")
    file, _, taken = watch(holder := Holder(cert))
    await next_of(holder.renewed)
    file.write_text("[auction]\nmargin_ms = 7\n")
    await next_of(taken)
    assert holder.renewed.empty()


async def test_settings_that_change_are_taken_whatever_certificates_are(tmp_path, watch):
    file, _, taken = watch(holder := Holder(tmp_path / "gone.pem", wrong=True))
    file.write_text("[auction]\nmargin_ms = 7\n")
    while (await next_of(taken)).auction.margin_ms != 7:
        pass
    assert holder.renewed.empty()


async def test_sighup_renews_certificates_though_the_settings_can_t_be_read(tmp_path, watch):
    (cert := tmp_path / "cert.pem").write_text("old")
    file, source, taken = watch(holder := Holder(cert, wrong=True))
    file.write_text("[nonsense")
    source.read_again()
    await next_of(holder.renewed)
    file.write_text("[server]\n")
    source.read_again()
    await next_of(taken)
    await next_of(holder.renewed)
