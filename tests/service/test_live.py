"""Settings change while the server runs; auctions under way end as they began."""

import asyncio
import signal
import sys
from pathlib import Path

import grpc
import pytest
import structlog

from xsp.bid.v1 import bid_service_pb2_grpc
from xsp_server import config
from xsp_server.config import Settings
from xsp_server.errors import ConfigError
from xsp_server.service.live import RELOADED, LiveExchange
from xsp_server.service.reload import SettingsFile
from xsp_server.upstream import transport

SIMULATED = {"type": "simulated", "seed": 7, "latency_ms": 0}


def bidder(name, price, **more):
    return {**SIMULATED, "name": name, "price": price, **more}


def settings(*bidders, **sections):
    return Settings(bidders=bidders, **sections)


@pytest.fixture
async def live():
    exchanges = []

    def build(*bidders, **sections):
        exchanges.append(LiveExchange(settings(*bidders, **sections)))
        return exchanges[-1]

    yield build
    for each in exchanges:
        await each.close()


async def winners(exchange, request):
    run = await exchange.run(request, None)
    return {reply.bidder for reply in run.replies}, run


async def test_auctions_that_begin_later_ask_the_new_bidders(live, sample):
    exchange = live(bidder("a", 9.0))
    exchange.change(settings(bidder("b", 9.0)))
    asked, _ = await winners(exchange, sample)
    assert asked == {"b"}
    assert exchange.bidders == ["b"]


async def test_an_auction_under_way_ends_under_the_settings_that_it_began_with(live, sample):
    exchange = live(bidder("a", 9.0, latency_ms=50), auction={"seatnonbid": True})
    sample.tmax = 10_000  # on a busy machine, too, the bidder is in time
    running = asyncio.create_task(winners(exchange, sample))
    await asyncio.sleep(0)
    exchange.change(settings(bidder("b", 9.0)))
    asked, run = await running
    assert asked == {"a"}
    assert run.form.seatnonbid
    assert run.response.seatbid


async def test_a_chain_of_an_auction_goes_by_the_privacy_that_it_began_with(live, sample):
    exchange = live(bidder("a", 9.0, latency_ms=50))
    sample.tmax = 10_000
    before = exchange.privacy
    running = asyncio.create_task(winners(exchange, sample))
    await asyncio.sleep(0)
    exchange.change(settings(bidder("a", 9.0), privacy={"ipv4_bits": 16}))
    _, run = await running
    assert run.privacy is before
    assert exchange.privacy is not before
    _, after = await winners(exchange, sample)
    assert after.privacy is exchange.privacy


class Watched(transport.Transport):
    """Knows when it is closed."""

    closed = 0

    def __init__(self, settings):
        super().__init__(settings)
        self.is_closed = asyncio.Event()

    async def send(self, ask, timeout):  # noqa: ARG002
        return None

    async def close(self):
        self.closed += 1
        self.is_closed.set()


@pytest.fixture
def built(monkeypatch):
    """Every transport that was built, by name, in order."""
    made = []

    def build(_kind, section, _where):
        made.append(Watched(transport.UpstreamConfig(name=section["name"])))
        return made[-1]

    monkeypatch.setattr("xsp_server.service.live.registry.build", build)
    return made


async def test_a_bidder_whose_section_stays_keeps_its_connections(live, built):
    exchange = live({"name": "a"}, {"name": "b"})
    exchange.change(settings({"name": "b"}, {"name": "a", "qps": 5}))
    assert [each.settings.name for each in built] == ["a", "b", "a"]
    await exchange.close()
    assert [each.closed for each in built] == [1, 1, 1]


async def test_a_bidder_that_goes_is_closed_when_its_last_auction_has_ended(live, built, sample):
    exchange = live({"name": "a"}, {"name": "b"})
    answer = asyncio.Event()

    async def slow(_ask, _timeout):
        await answer.wait()

    built[0].send = slow
    running = asyncio.create_task(exchange.run(sample, None))
    await asyncio.sleep(0)
    exchange.change(settings({"name": "b"}))
    exchange.change(settings({"name": "b"}, {"name": "c"}))
    await asyncio.sleep(0)
    assert [each.closed for each in built] == [0, 0, 0]
    answer.set()
    await running
    async with asyncio.timeout(5):
        await built[0].is_closed.wait()
    assert [each.closed for each in built] == [1, 0, 0]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"rules": {"nonsense": 1}}, "nonsense"),
        ({"privacy": {"nonsense": 1}}, "nonsense"),
        ({"groups": [{"name": "g", "ask": "waterfall", "members": ["nobody"]}]}, "nobody"),
    ],
)
async def test_wrong_settings_change_nothing(live, built, sample, sections, message):
    exchange = live({"name": "a"})
    before = exchange.settings
    with pytest.raises(ConfigError, match=message):
        exchange.change(settings({"name": "a"}, {"name": "b"}, **sections))
    assert exchange.settings is before
    assert exchange.bidders == ["a"]
    await exchange.run(sample, None)
    async with asyncio.timeout(5):
        await built[1].is_closed.wait()  # it was built for nothing
    assert not built[0].closed


async def test_two_bidders_of_one_name_are_refused(live):
    with pytest.raises(ConfigError, match=r"bidders\[1\].name"):
        live(bidder("a", 1.0), bidder("a", 2.0))


async def test_sections_that_wait_for_a_restart_are_told(live):
    exchange = live()
    changed = settings(server={"listen": "127.0.0.1:9"}, log={"level": "debug"})
    assert exchange.change(changed) == ["server"]


# The file.


class Watch:
    """A settings file that is watched."""

    def __init__(self, file):
        self.taken = asyncio.Queue()
        self.source = SettingsFile(file, self.take)
        self.task = asyncio.create_task(self.source.watch(every=0.01))

    def take(self, changed):
        if changed.auction.margin_ms == 999:
            raise ConfigError("999 doesn't fit the rest")
        self.taken.put_nowait(changed)

    async def next(self):
        async with asyncio.timeout(10):
            return await self.taken.get()


@pytest.fixture
async def watch():
    watches = []

    def begin(file):
        watches.append(Watch(file))
        return watches[-1]

    yield begin
    for each in watches:
        each.task.cancel()


def margin(file, milliseconds):
    new = file.with_suffix(".new")
    new.write_text(f"[auction]\nmargin_ms = {milliseconds}\n")
    new.replace(file)  # as editors and orchestrators do: at no time is there half a file


async def test_a_file_that_changes_is_read(tmp_path, watch):
    margin(file := tmp_path / "xsp.toml", 5)
    watched = watch(file)
    margin(file, 7)
    assert (await watched.next()).auction.margin_ms == 7


async def test_a_file_is_read_when_it_is_asked_for_though_nothing_changed(tmp_path, watch):
    margin(file := tmp_path / "xsp.toml", 5)
    watched = watch(file)
    watched.source.read_again()
    assert (await watched.next()).auction.margin_ms == 5


async def test_without_a_file_the_environment_is_read_again(watch, monkeypatch):
    watched = watch(None)
    monkeypatch.setenv("XSP_AUCTION__MARGIN_MS", "11")
    watched.source.read_again()
    assert (await watched.next()).auction.margin_ms == 11


@pytest.mark.parametrize(
    "text", ["[auction", "[auction]\nmargin_ms = -1", "[nonsense]", "", " \n", None]
)
async def test_a_file_that_is_wrong_or_gone_changes_nothing_and_a_right_one_later_does(
    tmp_path, watch, text
):
    margin(file := tmp_path / "xsp.toml", 5)
    watched = watch(file)
    with structlog.testing.capture_logs() as written:
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        watched.source.read_again()
        await until(lambda: written)
        margin(file, 999)  # read, and refused by what takes it
        await until(lambda: len(written) > 1)
    assert {each["event"] for each in written} == {"settings kept as they were"}
    assert str(file) in written[0]["reason"]
    margin(file, 8)
    assert (await watched.next()).auction.margin_ms == 8
    assert watched.taken.empty()


async def until(is_so):
    """Waits for a condition of this loop."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0)


# All of it: a process and its signal.


async def test_sighup_and_a_changed_file_reach_a_running_server(tmp_path, sample):
    file = tmp_path / "xsp.toml"
    listen = f"unix:{tmp_path}/xsp.sock"

    def write(name):
        server = f'[server]\nlisten = "{listen}"\n'
        bidders = f'[[bidders]]\ntype = "simulated"\nname = "one"\nseat = "{name}"\nprice = 9.0\n'
        new = tmp_path / "new"
        new.write_text(server + bidders)
        new.replace(file)

    write("first")
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "xsp"), "serve", "--config", str(file)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60), grpc.aio.insecure_channel(listen) as channel:
            stub = bid_service_pb2_grpc.BidServiceStub(channel)

            async def seats():
                answer = await stub.Bid(sample, wait_for_ready=True)
                return {seat.seat for seat in answer.seatbid}

            assert await seats() == {"first"}
            write("second")
            process.send_signal(signal.SIGHUP)
            while await seats() != {"second"}:
                pass
    finally:
        process.terminate()
        assert await process.wait() == 0


def test_every_section_is_known_to_be_reloaded_or_not():
    assert set(config.Settings.model_fields) >= RELOADED
