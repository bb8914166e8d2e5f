"""Recording while auctions run: they never wait, and what is lost is counted and told."""

import queue
import threading

import pytest
import structlog

from record.traffic import VERSION, first_price, runs
from xsp.bid.v1.auction_options_pb2 import AuctionOptions
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_server.errors import ConfigError
from xsp_server.service.record_file import RecordWriter, read_records
from xsp_server.service.recorder import Recorder

RUN = first_price(1, 2)


class Scripted(RecordWriter):
    """A file that takes records when it is told to, and can fail."""

    def __init__(self, path):
        super().__init__(path, 10**9, 1)
        self.at_work, self.go_on = threading.Event(), threading.Event()
        self.error = None

    def append(self, record):
        self.at_work.set()
        assert self.go_on.wait(60)
        if self.error is not None:
            raise self.error
        super().append(record)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "auctions.rec"


@pytest.fixture
def writer(path):
    return Scripted(path)


@pytest.fixture
def log():
    """Lines of the log as they come; the recorder writes them from its own thread."""
    lines = queue.Queue()

    def keep(_logger, _method, event):
        lines.put(event)
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    yield lambda: lines.get(timeout=60)
    structlog.reset_defaults()


def ids(path):
    with path.open("rb") as file:
        return [record.auction_id for record in read_records(file, "f")]


async def test_what_was_taken_is_in_the_file_when_the_recorder_has_stopped(path):
    recorder = Recorder(RecordWriter(path, 10**9, 1), VERSION)
    await recorder.start()
    for number, run in enumerate(runs(20)):
        recorder.take(run, f"a-{number}")
    await recorder.stop()
    assert ids(path) == [f"a-{number}" for number in range(20)]
    assert recorder.dropped == 0


async def test_session_and_options_are_recorded(path):
    recorder = Recorder(RecordWriter(path, 10**9, 1), VERSION)
    await recorder.start()
    recorder.take(RUN, "a", SessionContext(user_id="u"), AuctionOptions(record=True))
    await recorder.stop()
    with path.open("rb") as file:
        [record] = read_records(file, "f")
    assert record.session.user_id == "u"
    assert record.options.record
    assert record.server_version == VERSION


async def test_an_auction_never_waits_for_the_disk(path, writer, log):
    recorder = Recorder(writer, VERSION, room=2)
    await recorder.start()
    recorder.take(RUN, "written slowly")
    assert writer.at_work.wait(60)
    for name in ("waits", "waits too", "dropped", "dropped too"):
        recorder.take(RUN, name)
    assert recorder.dropped == 2
    assert log() == {"event": "records are dropped", "reason": "the disk doesn't keep up"}
    writer.go_on.set()
    await recorder.stop()
    assert log() == {"event": "records were dropped", "count": 2, "total": 2}
    assert ids(path) == ["written slowly", "waits", "waits too"]


async def test_a_failing_disk_costs_records_and_nothing_else(path, writer, log):
    recorder = Recorder(writer, VERSION)
    await recorder.start()
    writer.error = OSError(28, "No space left on device")
    recorder.take(RUN, "lost")
    recorder.take(RUN, "lost too")
    writer.go_on.set()
    await recorder.stop()
    assert recorder.dropped == 2
    assert log()["reason"] == "OSError: [Errno 28] No space left on device"
    assert log() == {"event": "records were dropped", "count": 2, "total": 2}
    assert ids(path) == []


async def test_the_end_of_each_loss_is_told_when_the_recorder_has_caught_up(path, writer, log):
    recorder = Recorder(writer, VERSION, room=1)
    await recorder.start()
    for total in (1, 2):
        recorder.take(RUN, "written slowly")
        assert writer.at_work.wait(60)
        recorder.take(RUN, "waits")
        recorder.take(RUN, "dropped")
        assert log()["event"] == "records are dropped"
        writer.go_on.set()
        assert log() == {"event": "records were dropped", "count": 1, "total": total}
        writer.go_on.clear()
        writer.at_work.clear()
    await recorder.stop()
    assert ids(path) == ["written slowly", "waits"] * 2


async def test_after_the_end_nothing_is_taken(path, log):
    recorder = Recorder(RecordWriter(path, 10**9, 1), VERSION)
    await recorder.start()
    await recorder.stop()
    recorder.take(RUN, "late")
    assert recorder.dropped == 1
    assert log()["reason"] == "the recorder has stopped"
    assert ids(path) == []


async def test_a_recorder_that_never_started_can_be_stopped(path):
    recorder = Recorder(RecordWriter(path, 10**9, 1), VERSION)
    await recorder.stop()
    assert not path.exists()


async def test_a_file_that_cannot_be_written_stops_the_start(tmp_path):
    recorder = Recorder(RecordWriter(tmp_path / "nowhere" / "f", 10**9, 1), VERSION)
    with pytest.raises(ConfigError, match=r"record\.file"):
        await recorder.start()
    await recorder.stop()
