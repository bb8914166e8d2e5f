"""Files of records: whole, bounded, readable by anybody who reads delimited protobuf."""

import io
import resource
from contextlib import closing, contextmanager

import pytest
from google.protobuf import proto

from record.traffic import RULES, first_price, recorded, records
from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp_server.errors import ConfigError, TooLarge
from xsp_server.service import record_file
from xsp_server.service.record import RecordError
from xsp_server.service.record_file import RecordWriter, read_records

MANY = 10**9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "auctions.rec"


def write(path, made, max_bytes=MANY, keep=5):
    writer = RecordWriter(path, max_bytes, keep)
    writer.open()
    with closing(writer):
        for each in made:
            writer.append(each)


def read(path):
    with path.open("rb") as file:
        return list(read_records(file, path.name))


def ids(path):
    return [each.auction_id for each in read(path)]


def banner(number, rules=RULES[0]):
    return recorded(first_price(1, 2, rules=rules), f"a-{number}")


def test_what_is_written_is_read(path):
    made = list(records(30))
    write(path, made)
    assert read(path) == made


def test_a_file_is_delimited_protobuf(path):
    made = list(records(5))
    write(path, made)
    with path.open("rb") as file:
        read = [proto.parse_length_prefixed(AuctionRecord, file) for _ in made]
        assert proto.parse_length_prefixed(AuctionRecord, file) is None
    assert [each.auction_id for each in read] == [each.auction_id for each in made]


def test_the_text_of_rules_is_once_in_a_file(path):
    write(path, [banner(n, RULES[n % 2]) for n in range(6)])
    with path.open("rb") as file:
        texts = [proto.parse_length_prefixed(AuctionRecord, file).rules.text for _ in range(6)]
    assert [bool(text) for text in texts] == [True, True, False, False, False, False]


def test_writing_leaves_the_record_as_it_was(path):
    made = banner(1)
    write(path, [made, made])
    assert made == banner(1)


def test_one_record_is_read_at_a_time(path):
    write(path, records(20))
    with path.open("rb") as file:
        reader = read_records(file, "f")
        first = next(reader)
        assert file.tell() == len(proto_bytes(first))


def proto_bytes(made):
    stream = io.BytesIO()
    proto.serialize_length_prefixed(made, stream)
    return stream.getvalue()


def test_a_file_that_ends_within_a_record_gives_those_before_and_tells_the_rest(path):
    write(path, [banner(1), banner(2), banner(3)])
    data = path.read_bytes()
    with path.open("rb") as file:
        reader = read_records(file, "f")
        next(reader)
        next(reader)
        whole = file.tell()
    for cut in range(whole + 1, len(data)):
        reader = read_records(io.BytesIO(data[:cut]), "f")
        assert [next(reader).auction_id, next(reader).auction_id] == ["a-1", "a-2"]
        with pytest.raises(RecordError, match=f"f: record 3 at byte {whole}: the file ends within"):
            next(reader)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xff" * 20, "f: record 1 at byte 0: no length; is this a file of auction records?"),
        (b"\xff\xff\xff\xff\x7f", "its length is 34359738367 bytes; expected at most 67108864"),
        (b'\x7b"id": "1"}' + b" " * 200, "expected an xsp.bid.v1.AuctionRecord in protobuf"),
        (b"\x00", "format_version: got 0; this version reads up to 1"),
        (b"\x02\x08\x02", "format_version: got 2; this version reads up to 1"),
        (b"\x02\x08\x01", "are not in the file before it"),
    ],
)
def test_what_is_no_record_of_a_known_version_is_refused(data, told):
    with pytest.raises(RecordError) as error:
        next(read_records(io.BytesIO(data), "f"))
    assert told in str(error.value)


def test_an_empty_file_has_no_records():
    assert list(read_records(io.BytesIO(), "f")) == []


def test_full_files_are_rotated_and_the_oldest_goes(path):
    size = len(proto_bytes(banner(10)))
    write(path, (banner(n) for n in range(10, 31)), max_bytes=3 * size, keep=2)
    files = sorted(file.name for file in path.parent.iterdir())
    assert files == ["auctions.rec", "auctions.rec.1", "auctions.rec.2"]
    assert all(file.stat().st_size <= 3 * size for file in path.parent.iterdir())
    kept = [each for name in reversed(files) for each in ids(path.with_name(name))]
    assert kept == [f"a-{n}" for n in range(31 - len(kept), 31)]


def test_every_file_can_be_read_by_itself(path):
    write(path, (banner(n) for n in range(10)), max_bytes=1, keep=20)
    for number in range(1, 10):
        assert ids(path.with_name(f"auctions.rec.{number}")) == [f"a-{9 - number}"]
    assert ids(path) == ["a-9"]


def test_without_full_files_to_keep_the_file_begins_anew(path):
    write(path, (banner(n) for n in range(3)), max_bytes=1, keep=0)
    assert ids(path) == ["a-2"]
    assert list(path.parent.iterdir()) == [path]


def test_a_restart_begins_a_new_file_as_the_old_one_may_end_within_a_record(path):
    write(path, [banner(1)])
    with path.open("ab") as file:
        file.write(b"\x90\x01half")
    write(path, [banner(2)])
    assert ids(path) == ["a-2"]
    with pytest.raises(RecordError, match="4 of 144 bytes are there"):
        ids(path.with_name("auctions.rec.1"))


def test_a_restart_without_a_record_leaves_nothing_behind(path):
    write(path, [])
    write(path, [banner(1)])
    assert list(path.parent.iterdir()) == [path]


def test_only_the_owner_may_read_what_holds_personal_data(path):
    write(path, [banner(1)])
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_servers_cannot_write_one_file(path):
    first = RecordWriter(path, MANY, 1)
    first.open()
    with pytest.raises(ConfigError, match=r"record\.file: .* is written by another process"):
        RecordWriter(path, MANY, 1).open()
    first.append(banner(1))
    first.close()
    assert ids(path) == ["a-1"]


def test_a_file_that_cannot_be_written_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere/f: No such file .* expected a file that can"):
        RecordWriter(tmp_path / "nowhere" / "f", MANY, 1).open()


def test_a_record_that_no_reader_would_take_is_refused(path, monkeypatch):
    monkeypatch.setattr(record_file, "MAX_RECORD_BYTES", 100)
    made = banner(1)
    with pytest.raises(TooLarge, match=r"auction a-1 is \d+ bytes; expected at most 100"):
        write(path, [made])
    assert made == banner(1)
    assert path.stat().st_size == 0


@contextmanager
def disk_of(size):
    """Files of this process can't be longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_whole_records_and_writing_goes_on_when_there_is_room(path):
    writer = RecordWriter(path, MANY, 5)
    writer.open()
    writer.append(banner(1))
    with disk_of(path.stat().st_size + 50), pytest.raises(OSError, match="File too large"):
        writer.append(banner(2))
    assert ids(path) == ["a-1"]
    writer.append(banner(3))
    writer.close()
    assert ids(path) == ["a-1", "a-3"]


def test_a_disk_that_takes_nothing_back_gets_a_new_file(path):
    writer = RecordWriter(path, MANY, 5)
    writer.open()
    with closing(writer):
        writer.append(banner(1))
        writer._file.close()
        writer._file = io.FileIO("/dev/full", "a")
        with pytest.raises(OSError, match="No space left on device"):
            writer.append(banner(2))
        writer.append(banner(3))
    assert ids(path) == ["a-3"]
    assert ids(path.with_name("auctions.rec.1")) == ["a-1"]


def test_closing_twice_is_harmless(path):
    writer = RecordWriter(path, MANY, 5)
    writer.open()
    writer.close()
    writer.close()
