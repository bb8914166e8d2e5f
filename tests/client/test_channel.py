"""The connection: what is tried again, TLS, several addresses, limits."""

import asyncio
import re
import shutil
import subprocess

import grpc
import pytest
from google.rpc.status_pb2 import Status

from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_client import (
    ChannelOptions,
    ResourceExhaustedError,
    Tls,
    UnavailableError,
    XspClient,
    XspClientError,
)
from xsp_client._channel import _arguments

REQUEST = BidRequest(id="1")
OK = BidResponse(id="1")
QUICK = ChannelOptions(first_backoff=0.01, longest_backoff=0.01)


def status(code: grpc.StatusCode) -> Status:
    return Status(code=code.value[0], message="as told by the test")


UNAVAILABLE = status(grpc.StatusCode.UNAVAILABLE)


async def test_unavailable_is_tried_again_until_it_works(start):
    bids = await start(UNAVAILABLE, UNAVAILABLE, OK)
    async with XspClient(bids.address, timeout=30.0, options=QUICK) as client:
        assert await client.bid(REQUEST) == OK
    assert len(bids.calls) == 3


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_the_tries_are_as_many_as_set(start, attempts):
    bids = await start(UNAVAILABLE)
    options = ChannelOptions(attempts=attempts, first_backoff=0.01, longest_backoff=0.01)
    async with XspClient(bids.address, timeout=30.0, options=options) as client:
        with pytest.raises(UnavailableError):
            await client.bid(REQUEST)
    assert len(bids.calls) == attempts


async def test_run_auction_is_tried_again_under_the_same_id(start):
    bids = await start(UNAVAILABLE, b"")
    async with XspClient(bids.address, timeout=30.0, options=QUICK) as client:
        await client.run_auction(REQUEST)
    first, second = (RunAuctionRequest.FromString(call.data).request_id for call in bids.calls)
    assert first == second != ""


@pytest.mark.parametrize(
    "code",
    [code for code in grpc.StatusCode if code.name not in {"OK", "UNAVAILABLE"}],
    ids=lambda code: code.name,
)
async def test_no_other_status_is_tried_again(start, code):
    bids = await start(status(code), OK)
    async with XspClient(bids.address, timeout=30.0, options=QUICK) as client:
        with pytest.raises(XspClientError) as caught:
            await client.bid(REQUEST)
    assert caught.value.status is code
    assert len(bids.calls) == 1


async def test_tries_end_with_the_deadline(start):
    bids = await start(UNAVAILABLE)
    options = ChannelOptions(attempts=5, first_backoff=60.0, longest_backoff=60.0)
    async with XspClient(bids.address, options=options) as client:
        with pytest.raises(XspClientError):
            await client.bid(REQUEST, timeout=0.2)
    assert len(bids.calls) == 1


@pytest.mark.parametrize("attempts", [0, 6])
def test_a_number_of_tries_that_grpc_would_not_keep_to_is_refused(attempts):
    with pytest.raises(ValueError, match=f"attempts: expected 1 to 5, got {attempts}"):
        ChannelOptions(attempts=attempts)


@pytest.mark.parametrize(("first", "longest"), [(0.009, 1.0), (0.2, 0.1)])
def test_waits_that_grpc_would_not_keep_to_are_refused(first, longest):
    with pytest.raises(ValueError, match=f"<= longest_backoff, got {first} and {longest}"):
        ChannelOptions(first_backoff=first, longest_backoff=longest)


async def test_calls_go_to_all_addresses_of_a_target(start):
    servers = [await start(), await start()]
    target = f"ipv4:{','.join(server.address for server in servers)}"
    async with asyncio.timeout(10), XspClient(target) as client:
        while not all(server.calls for server in servers):
            await client.bid(REQUEST)


async def test_one_dead_address_of_several_harms_nobody(start, refused_address):
    bids = await start()
    async with XspClient(f"ipv4:{refused_address},{bids.address}") as client:
        for _ in range(20):
            assert (await client.bid(REQUEST, timeout=30.0)).id == "1"


async def test_the_user_agent_names_the_program_before_the_client(start):
    bids = await start()
    async with XspClient(bids.address) as client:
        await client.bid(REQUEST)
    async with XspClient(bids.address, options=ChannelOptions(user_agent="my-ssp/1.2")) as client:
        await client.bid(REQUEST)
    own, named = (call.metadata["user-agent"] for call in bids.calls)
    assert re.match(r"xsp-client grpc-python", own)
    assert re.match(r"my-ssp/1\.2 xsp-client grpc-python", named)


async def test_messages_above_the_limit_are_refused_both_ways(start):
    bids = await start(BidResponse(id="x" * 2000))
    async with XspClient(bids.address, options=ChannelOptions(max_message_bytes=1000)) as client:
        with pytest.raises(ResourceExhaustedError, match="Send less, or raise the limit"):
            await client.bid(REQUEST)
        assert len(bids.calls) == 1
        with pytest.raises(ResourceExhaustedError):
            await client.bid(BidRequest(id="x" * 2000))
        assert len(bids.calls) == 1


async def test_grpc_s_own_arguments_win(start):
    bids = await start(BidResponse(id="x" * 2000))
    extra = (("grpc.max_receive_message_length", 1000),)
    async with XspClient(bids.address, options=ChannelOptions(extra=extra)) as client:
        with pytest.raises(ResourceExhaustedError):
            await client.bid(REQUEST)


def test_keepalive_is_given_to_grpc_in_milliseconds():
    options = ChannelOptions(keepalive=30.0, keepalive_timeout=2.5, keepalive_when_idle=True)
    arguments = dict(_arguments(None, options))
    assert arguments["grpc.keepalive_time_ms"] == 30_000
    assert arguments["grpc.keepalive_timeout_ms"] == 2_500
    assert arguments["grpc.keepalive_permit_without_calls"] == 1


def test_the_default_keepalive_is_one_that_servers_tolerate():
    arguments = dict(_arguments(None, ChannelOptions()))
    assert arguments["grpc.keepalive_time_ms"] > 300_000
    assert arguments["grpc.keepalive_permit_without_calls"] == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Makes self-signed certificates: name -> (private key file, certificate file)."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl to make certificates")
    folder = tmp_path_factory.mktemp("certificates")

    def make(name: str):
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        command = [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "1",
                "-subj",
                f"/CN={name}",
                "-addext",
                f"subjectAltName=DNS:{name}",
            ),
            *("-keyout", str(key), "-out", str(certificate)),
        ]
        subprocess.run(command, check=True, capture_output=True)
        return key, certificate

    return {name: make(name) for name in ("xsp.test", "client.test")}


def server_credentials(certificates, *, client_ca=None):
    key, certificate = (path.read_bytes() for path in certificates["xsp.test"])
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )


async def test_tls_with_a_root_of_one_s_own(start, certificates):
    bids = await start(credentials=server_credentials(certificates))
    tls = Tls.from_files(root_certificates=certificates["xsp.test"][1], server_name="xsp.test")
    async with XspClient(bids.address, tls=tls) as client:
        assert (await client.bid(REQUEST, timeout=30.0)).id == "1"


@pytest.mark.parametrize(
    ("root", "server_name"),
    [
        pytest.param("client.test", "xsp.test", id="signed by somebody else"),
        pytest.param("xsp.test", None, id="for another name"),
    ],
)
async def test_tls_refuses_a_certificate(start, certificates, root, server_name):
    bids = await start(credentials=server_credentials(certificates))
    tls = Tls.from_files(root_certificates=certificates[root][1], server_name=server_name)
    async with XspClient(bids.address, tls=tls) as client:
        with pytest.raises(UnavailableError, match="Check the address, TLS and"):
            await client.bid(REQUEST, timeout=30.0)
    assert bids.calls == []


async def test_a_server_that_wants_a_client_certificate_gets_it(start, certificates):
    key, certificate = certificates["client.test"]
    credentials = server_credentials(certificates, client_ca=certificate.read_bytes())
    bids = await start(credentials=credentials)
    root = certificates["xsp.test"][1]
    known = Tls.from_files(
        root_certificates=str(root),
        private_key=key,
        certificate_chain=certificate,
        server_name="xsp.test",
    )
    async with XspClient(bids.address, tls=known) as client:
        assert (await client.bid(REQUEST, timeout=30.0)).id == "1"
    unknown = Tls(root_certificates=root.read_bytes(), server_name="xsp.test")
    async with XspClient(bids.address, tls=unknown) as client:
        with pytest.raises(UnavailableError):
            await client.bid(REQUEST, timeout=30.0)


async def test_plaintext_does_not_reach_a_tls_server(start, certificates):
    bids = await start(credentials=server_credentials(certificates))
    async with XspClient(bids.address) as client:
        with pytest.raises(UnavailableError):
            await client.bid(REQUEST, timeout=30.0)


@pytest.mark.parametrize("half", [{"private_key": b"k"}, {"certificate_chain": b"c"}])
def test_half_a_client_certificate_is_refused(half):
    with pytest.raises(ValueError, match="needs both private_key and certificate_chain"):
        Tls(**half)
