"""VastService over real sockets: chains followed, documents read and written."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from aiohttp import web

from service.errors import details
from xsp.vast.v1 import vast_service_pb2 as pb
from xsp.vast.v1 import vast_service_pb2_grpc
from xsp.vast.v1.resolution_pb2 import ResolutionOutcome
from xsp.vast.v1.vast_lists_pb2 import VastErrorCode, VastVersion
from xsp_server.config import Settings

GUARD = {"allow_networks": ["127.0.0.1/32"], "ports": []}
INLINE = (
    '<VAST xmlns="http://www.iab.com/VAST" version="4.2"><Ad id="ad"><InLine>'
    "<AdSystem>S</AdSystem><Impression>https://t.example/i</Impression>"
    "<AdServingId>7</AdServingId><AdTitle>Ad</AdTitle><Creatives><Creative>"
    "<Linear><Duration>00:00:15</Duration>"
    '<MediaFiles><MediaFile delivery="progressive" type="video/mp4" width="1" height="1">'
    "https://m.example/v.mp4</MediaFile></MediaFiles></Linear>"
    "<UniversalAdId idRegistry='r'>u</UniversalAdId></Creative></Creatives></InLine>"
    "</Ad></VAST>"
)


def wrapper(uri, **attributes):
    told = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return (
        f'<VAST version="4.2"><Ad id="w"><Wrapper{told}><AdSystem>W</AdSystem>'
        f"<Impression>https://t.example/w</Impression><Error>{uri}/error?[ERRORCODE]</Error>"
        f"<VASTAdTagURI>{uri}</VASTAdTagURI></Wrapper></Ad></VAST>"
    )


class AdServer:
    """Documents by path; it knows what it was asked."""

    def __init__(self):
        self.address = ""
        self.documents: dict[str, str] = {}
        self.asked: list[web.Request] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.held: set[str] = set()
        self._forever = asyncio.Event()
        self._news = asyncio.Condition()

    async def answer(self, request):
        async with self._news:
            self.asked.append(request)
            self._news.notify_all()
        await self.hold.wait()
        if request.path in self.held:
            await self._forever.wait()
        document = self.documents.get(request.path)
        if document is None:
            return web.Response(status=404)
        response = web.Response(text=document, content_type="text/xml")
        response.set_cookie("seen", "1")
        return response

    def release(self):
        """Lets answers to held paths go."""
        self._forever.set()

    async def was_asked(self, path):
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: any(each.path == path for each in self.asked))


@asynccontextmanager
async def serving():
    server = AdServer()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    server.documents = {"/ad": INLINE, "/tag": wrapper(f"{server.address}/ad")}
    try:
        yield server
    finally:
        server.hold.set()
        server.release()
        await runner.cleanup()


@pytest.fixture
async def ads():
    async with serving() as server:
        yield server


@pytest.fixture
async def dialled():
    channels = []

    def stub(server):
        channels.append(grpc.aio.insecure_channel(server.address))
        return vast_service_pb2_grpc.VastServiceStub(channels[-1])

    yield stub
    for channel in channels:
        await channel.close()


@pytest.fixture
def vast(serve, dialled):
    async def start(**sections):
        return dialled(await serve(**{"guard": GUARD, **sections}))

    return start


def reason(error):
    return details(error)["ErrorInfo"].reason


async def test_a_tag_is_followed_to_its_ad(vast, ads):
    stub = await vast()
    request = pb.ResolveVastRequest(sources=[{"tag_uri": f"{ads.address}/tag"}])
    answer = await stub.ResolveVast(request, timeout=10)
    resolution = answer.resolution
    assert resolution.outcome == ResolutionOutcome.RESOLUTION_OUTCOME_AD
    [ad] = resolution.ads
    impressions = [each.url for each in ad.ad.inline.impressions]
    assert impressions == ["https://t.example/w", "https://t.example/i"]
    assert ad.metadata.duration.seconds == 15
    assert "<VAST" in resolution.xml
    assert [hop.http_status for hop in resolution.hops] == [200, 200]


async def test_the_session_goes_along_and_comes_back_with_its_cookies(vast, ads):
    stub = await vast()
    session = {"request_id": "r-1", "device": {"ip": "198.51.100.7", "user_agent": "Player/1"}}
    request = pb.ResolveVastRequest(session=session, sources=[{"tag_uri": f"{ads.address}/tag"}])
    answer = await stub.ResolveVast(request, timeout=10)
    first, second = (each.headers for each in ads.asked)
    assert first["X-Device-User-Agent"] == "Player/1"
    assert first["X-Request-Id"] == second["X-Request-Id"] == "r-1"
    assert first["traceparent"][:35] == second["traceparent"][:35]
    assert "Cookie" not in first
    assert second["Cookie"] == "seen=1"
    assert [cookie.name for cookie in answer.session.cookies] == ["seen"]


PERSON = {"device": {"ip": "198.51.100.77", "user_agent": "TV/1", "ifa": "4e2a"}}
TELLING = "/tag?ip=[DEVICEIP]&ifa=[IFA]&ua=[DEVICEUA]"


async def told(stub, ads, consent, **request):
    """What the ad server was told: macros of the first tag, and X-Device-IP of every request."""
    ads.asked.clear()
    answer = await stub.ResolveVast(
        pb.ResolveVastRequest(
            session={**PERSON, "consent": consent},
            sources=[{"tag_uri": f"{ads.address}{TELLING}"}],
            **request,
        ),
        timeout=10,
    )
    assert len(answer.resolution.ads) == 1
    (query,) = (dict(each.query) for each in ads.asked if each.query)
    return query, [each.headers.get("X-Device-IP") for each in ads.asked]


async def test_without_a_signal_of_privacy_the_ad_servers_are_told_all(vast, ads):
    query, addresses = await told(await vast(), ads, {"lmt": False, "gdpr_applies": False})
    assert query == {"ip": "198.51.100.77", "ifa": "4e2a", "ua": "TV/1"}
    assert addresses == ["198.51.100.77"] * 2


@pytest.mark.parametrize(
    "consent", [{"lmt": True}, {"coppa": True}, {"gdpr_applies": True}, {"us_privacy": "1YYN"}]
)
async def test_the_exchanges_own_rules_say_what_macros_and_headers_may_tell(vast, ads, consent):
    query, addresses = await told(await vast(), ads, consent)
    assert query == {"ip": "198.51.100.0", "ifa": "-2", "ua": "TV/1"}
    assert addresses == ["198.51.100.0"] * 2


async def test_settings_of_privacy_hold_for_chains_too(vast, ads):
    rules = {"lmt": {"fields": {"device.ip": "remove", "device.ua": "remove"}}}
    query, addresses = await told(await vast(privacy={"rules": rules}), ads, {"lmt": True})
    assert query == {"ip": "-2", "ifa": "-2", "ua": "-2"}
    assert addresses == [None] * 2
    assert all("X-Device-User-Agent" not in each.headers for each in ads.asked)


async def test_where_no_bidder_might_be_asked_the_ad_servers_are_told_nothing(vast, ads):
    rules = {"coppa": {"skip": True}}
    query, addresses = await told(await vast(privacy={"rules": rules}), ads, {"coppa": True})
    assert query == {"ip": "-2", "ifa": "-2", "ua": "-2"}
    assert addresses == [None] * 2


async def test_values_that_the_caller_gives_are_judged_like_those_of_the_session(vast, ads):
    macros = {"values": {"DEVICEIP": {"text": "203.0.113.9"}, "IFA": {"text": "mine"}}}
    query, _ = await told(await vast(), ads, {"lmt": True}, macros=macros)
    assert (query["ip"], query["ifa"]) == ("203.0.113.0", "-2")


async def test_cookies_are_an_id_too(vast, ads):
    stub = await vast()
    old = {"name": "id", "value": "7", "host": "127.0.0.1"}
    for lmt, sent in ((False, "id=7"), (True, None)):
        ads.asked.clear()
        session = {**PERSON, "consent": {"lmt": lmt}, "cookies": [old]}
        sources = [{"tag_uri": f"{ads.address}/ad"}]
        request = pb.ResolveVastRequest(session=session, sources=sources)
        answer = await stub.ResolveVast(request, timeout=10)
        assert ads.asked[0].headers.get("Cookie") == sent
        kept = {cookie.name for cookie in answer.session.cookies}
        assert kept == ({"id"} if lmt else {"id", "seen"})


async def test_rules_that_change_while_the_server_runs_hold_for_the_next_chain(serve, dialled, ads):
    server = await serve(guard=GUARD)
    stub = dialled(server)
    _, before = await told(stub, ads, {"lmt": True})
    rules = {"lmt": {"fields": {"device.ip": "remove"}}}
    server.change(Settings(guard=GUARD, privacy={"rules": rules}))
    _, after = await told(stub, ads, {"lmt": True})
    assert (before[0], after[0]) == ("198.51.100.0", None)


async def test_hops_come_one_by_one_and_the_result_last(vast, ads):
    stub = await vast()
    request = pb.StreamResolveVastRequest(sources=[{"tag_uri": f"{ads.address}/tag"}])
    events = [each async for each in stub.StreamResolveVast(request, timeout=10)]
    assert [each.WhichOneof("event") for each in events] == ["hop", "hop", "resolution"]
    assert [each.hop.index for each in events[:2]] == [0, 1]
    assert len(events[-1].resolution.ads) == 1
    assert events[-1].session.request_id


async def test_a_hop_comes_before_the_next_one_is_answered(vast, ads):
    stub = await vast()
    ads.documents["/start"] = wrapper(f"{ads.address}/slow")
    call = stub.StreamResolveVast(
        pb.StreamResolveVastRequest(sources=[{"tag_uri": f"{ads.address}/start"}]), timeout=10
    )
    first = await call.read()
    assert first.hop.http_status == 200
    call.cancel()


async def test_hops_of_a_tag_that_is_given_up_come_before_the_result(vast, ads):
    stub = await vast()
    ads.held.add("/tag")
    members = [{"tag_uri": f"{ads.address}{path}"} for path in ("/tag", "/ad")]
    request = pb.StreamResolveVastRequest(
        sources=[{"group": {"mode": "TAG_GROUP_MODE_FIRST", "members": members}}]
    )
    events = [each async for each in stub.StreamResolveVast(request, timeout=10)]
    assert [each.WhichOneof("event") for each in events] == ["hop", "hop", "resolution"]
    assert sorted(each.hop.source for each in events[:2]) == [0, 1]
    resolution = events[-1].resolution
    assert (resolution.source, len(resolution.ads)) == (1, 1)
    assert not resolution.error_plan


async def test_groups_that_can_t_be_are_refused_with_the_place(vast):
    stub = await vast()
    request = pb.ResolveVastRequest(sources=[{"group": {"members": [{"document": b"<VAST/>"}]}}])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ResolveVast(request, timeout=10)
    (violation,) = details(caught.value)["BadRequest"].field_violations
    assert violation.field == "sources[0].group.mode"


async def test_a_chain_that_fails_is_an_answer_with_its_code_and_error_urls(vast, ads):
    stub = await vast()
    ads.documents["/tag"] = wrapper(f"{ads.address}/gone")
    request = pb.ResolveVastRequest(sources=[{"tag_uri": f"{ads.address}/tag"}])
    resolution = (await stub.ResolveVast(request, timeout=10)).resolution
    assert resolution.outcome == ResolutionOutcome.RESOLUTION_OUTCOME_ERROR
    assert resolution.failures[0].code == VastErrorCode.VAST_ERROR_CODE_WRAPPER_UNAVAILABLE
    [error] = resolution.error_plan
    assert error.url == f"{ads.address}/gone/error?301"
    assert not error.fired_by_server


async def test_the_server_requests_error_urls_where_it_is_asked_to(vast, ads):
    stub = await vast()
    ads.documents["/tag"] = wrapper(f"{ads.address}/gone")
    request = pb.ResolveVastRequest(
        sources=[{"tag_uri": f"{ads.address}/tag"}],
        options={"error_firing": "ERROR_FIRING_SERVER_MUST"},
    )
    resolution = (await stub.ResolveVast(request, timeout=10)).resolution
    assert resolution.error_plan[0].fired_by_server
    await ads.was_asked("/gone/error")


async def test_a_tag_that_leads_inside_is_refused(vast, ads):
    stub = await vast(guard={})
    request = pb.ResolveVastRequest(sources=[{"tag_uri": f"{ads.address}/tag"}])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ResolveVast(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert reason(caught.value) == "ADDRESS_REFUSED"
    assert not ads.asked


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.ResolveVastRequest(), "FIELD_REQUIRED"),
        (pb.ResolveVastRequest(sources=[{}]), "FIELD_INVALID"),
        (
            pb.ResolveVastRequest(
                sources=[{"document": b"<VAST/>"}], options={"requested_with": "a\r\nb"}
            ),
            "FIELD_INVALID",
        ),
    ],
)
async def test_a_request_that_says_too_little_or_what_can_t_be_is_refused(vast, request_, expected):
    stub = await vast()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ResolveVast(request_, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(caught.value) == expected


async def test_a_refused_request_ends_a_stream_likewise(vast):
    stub = await vast()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StreamResolveVast(pb.StreamResolveVastRequest(), timeout=10).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_caller_that_walks_away_ends_the_resolution(vast, ads):
    stub = await vast()
    ads.hold.clear()
    request = pb.StreamResolveVastRequest(sources=[{"tag_uri": f"{ads.address}/tag"}])
    call = stub.StreamResolveVast(request, timeout=10)
    reading = asyncio.ensure_future(call.read())
    await ads.was_asked("/tag")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    document = pb.ParseVastRequest(document=INLINE.encode())
    for _ in range(3):  # calls that come after the end of that one
        await stub.ParseVast(document, timeout=10)
    ads.hold.set()
    await stub.ParseVast(document, timeout=10)
    assert [each.path for each in ads.asked] == ["/tag"]


async def test_a_document_is_read_with_its_facts_and_deviations(vast):
    stub = await vast()
    text = INLINE.replace("<AdTitle>Ad</AdTitle>", "").encode("utf-16")
    answer = await stub.ParseVast(pb.ParseVastRequest(document=text, strict=True), timeout=10)
    assert answer.document.version == "4.2"
    assert answer.metadata[0].duration.seconds == 15
    assert any("AdTitle" in each.message + each.path for each in answer.violations)
    lax = await stub.ParseVast(pb.ParseVastRequest(document=text), timeout=10)
    assert not lax.violations


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"<VAST", "100"),
        (b"<html/>", "101"),
        (b"<VideoAdServingTemplate/>", "102"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><VAST>&b;</VAST>', "100"),
    ],
)
async def test_a_document_that_can_t_be_read_is_refused_with_its_code(vast, document, code):
    stub = await vast()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ParseVast(pb.ParseVastRequest(document=document), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = details(caught.value)["ErrorInfo"]
    assert (info.reason, info.metadata["code"]) == ("VAST_UNREADABLE", code)


async def test_a_document_is_written_as_another_version_and_says_what_was_left_out(vast):
    stub = await vast()
    parsed = await stub.ParseVast(pb.ParseVastRequest(document=INLINE.encode()), timeout=10)
    request = pb.RenderVastRequest(
        document=parsed.document, version=VastVersion.VAST_VERSION_2_0, indent=True
    )
    answer = await stub.RenderVast(request, timeout=10)
    assert 'version="2.0"' in answer.xml
    assert "AdServingId" not in answer.xml
    assert any("AdServingId" in each.path + each.message for each in answer.violations)
    request.strict = True
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RenderVast(request, timeout=10)
    assert reason(caught.value) == "VAST_UNWRITABLE"


@pytest.mark.parametrize("method", ["ParseVast", "RenderVast"])
async def test_an_empty_request_is_told_what_is_missing(vast, method):
    stub = await vast()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(stub, method)(getattr(pb, f"{method}Request")(), timeout=10)
    assert reason(caught.value) == "FIELD_REQUIRED"
