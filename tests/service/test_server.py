"""The server as an operator meets it: health, TLS, settings that don't fit, an orderly end."""

import asyncio
import shutil
import subprocess

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from xsp_server.config import Settings
from xsp_server.errors import ConfigError
from xsp_server.service.server import Server

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def simulated(name, **settings):
    return {"type": "simulated", "name": name, **settings}


@pytest.mark.parametrize("service", ["", "xsp.bid.v1.BidService"])
async def test_health_says_serving(serve, service):
    server = await serve()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == SERVING


async def test_stop_tells_health_first_and_lets_running_calls_finish(serve, dial, sample):
    bidder = simulated("slow", latency_ms=150, seed=1)
    sample.tmax = 10_000
    server = await serve(bidder)
    async with grpc.aio.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        call = asyncio.ensure_future(dial(server).Bid(sample))
        while server._gate.inside == 0:  # noqa: ASYNC110 - the call is at work, no event says so
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(server.stop(grace=5))
        assert (await watch.read()).status == NOT_SERVING
        assert (await call).seatbid
        watch.cancel()
        await stopping


async def test_a_second_server_on_the_port_is_told(serve):
    first = await serve()
    second = Server(Settings(server={"listen": first.address}))
    with pytest.raises(ConfigError, match=r"server.listen: can't bind .* expected a free"):
        await second.start()


async def test_a_unix_socket_serves_too(serve, dial, sample, tmp_path):
    server = await serve(server={"listen": f"unix:{tmp_path / 's'}"})
    assert (await dial(server).Bid(sample)).nbr == 500


def test_two_bidders_of_one_name_are_told():
    with pytest.raises(ConfigError) as caught:
        Server(Settings(bidders=(simulated("a"), simulated("b"), simulated("a"))))
    assert str(caught.value) == (
        'bidders[2].name: got "a", which bidders[0] has already; expected a name of its own'
    )


def test_a_bidder_that_does_not_fit_its_type_is_told():
    with pytest.raises(ConfigError, match=r"bidders\[0\].endpoint: missing"):
        Server(Settings(bidders=({"type": "http", "name": "a"},)))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A self-signed certificate for localhost, made by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


async def test_tls_serves_callers_that_trust_the_certificate(serve, certificates, sample):
    cert, key = certificates
    tls = {"cert": cert, "key": key}
    server = await serve(server={"listen": "localhost:0", "tls": tls})
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        bid = channel.unary_unary("/xsp.bid.v1.BidService/Bid")
        assert await bid(sample.SerializeToString())


async def test_with_client_ca_a_caller_without_certificate_is_refused(serve, certificates, sample):
    cert, key = certificates
    tls = {"cert": cert, "key": key, "client_ca": cert}
    server = await serve(server={"listen": "localhost:0", "tls": tls})
    anonymous = grpc.ssl_channel_credentials(cert.read_bytes())
    async with grpc.aio.secure_channel(server.address, anonymous) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/xsp.bid.v1.BidService/Bid")(sample.SerializeToString())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    known = grpc.ssl_channel_credentials(cert.read_bytes(), key.read_bytes(), cert.read_bytes())
    async with grpc.aio.secure_channel(server.address, known) as channel:
        assert await channel.unary_unary("/xsp.bid.v1.BidService/Bid")(sample.SerializeToString())


async def test_a_certificate_that_can_not_be_read_is_told(tmp_path):
    tls = {"cert": tmp_path / "gone.pem", "key": tmp_path / "gone.pem"}
    server = Server(Settings(server={"listen": "127.0.0.1:0", "tls": tls}))
    with pytest.raises(ConfigError, match=r"server.tls.key: .*gone.pem: No such file"):
        await server.start()
