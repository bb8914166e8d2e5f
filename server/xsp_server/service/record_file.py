"""Files of auction records: each record after its length in bytes as a varint.

The usual "delimited" form of protobuf, with nothing before, between or after.
"""

import fcntl
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp_server.errors import ConfigError, TooLarge
from xsp_server.service.record import FORMAT_VERSION, RecordError

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Largest record that is written or read."""

_VARINT_BYTES = 10


class RecordWriter:
    """Appends records to a file; a full one is rotated to `file.1`, and so on up to `file.<keep>`.

    Every file is whole by itself: the text of the rules is left out only where the same file has
    it already. As records hold personal data, only the owner may read a file. Records that were
    written survive the end of the process, not that of the machine: nothing is synced to the disk.
    """

    def __init__(self, file: Path, max_bytes: int, keep: int) -> None:
        """Opens nothing yet.

        Args:
            file: where records go.
            max_bytes: a record that would make the file longer goes to a new one.
            keep: how many full files stay; the oldest beyond that is removed.
        """
        self._path = file
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: FileIO | None = None
        self._size = 0
        self._digests: set[str] = set()

    def open(self) -> None:
        """Begins a file, so that later writing can only fail by the disk.

        Raises:
            ConfigError: the file can't be written, or another process writes it.
        """
        try:
            self._begin()
        except BlockingIOError:
            raise ConfigError(
                f"record.file: {self._path} is written by another process; "
                "expected a file of its own for each server"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"record.file: {self._path}: {error.strerror}; expected a file that can be written"
            ) from None

    def append(self, record: AuctionRecord) -> None:
        """Writes one record, whole or not at all.

        Raises:
            TooLarge: the record is larger than a reader would take.
            OSError: the disk is full or failing.
        """
        data = self._framed(record)
        if self._size and self._size + len(data) > self._max_bytes:
            self.close()
            data = self._framed(record)
        if self._file is None:
            self._begin()
        self._write(data)
        self._digests.add(record.rules.digest)

    def close(self) -> None:
        """Closes the file; `append` would begin another."""
        if self._file is not None:
            self._file.close()
        self._file, self._size, self._digests = None, 0, set()

    def _framed(self, record: AuctionRecord) -> bytes:
        """Length and record, without the rules' text where the file has it."""
        text = record.rules.text
        if record.rules.digest in self._digests:
            record.rules.text = ""
        try:
            data = record.SerializeToString()
        finally:
            record.rules.text = text
        if len(data) > MAX_RECORD_BYTES:
            raise TooLarge(
                f"the record of auction {record.auction_id} is {len(data)} bytes; "
                f"expected at most {MAX_RECORD_BYTES}",
                limit=MAX_RECORD_BYTES,
            )
        return _varint(len(data)) + data

    def _write(self, data: bytes) -> None:
        file = self._file
        assert file is not None  # noqa: S101 - append has opened it
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            self._undo(file)
            raise
        self._size += len(data)

    def _undo(self, file: FileIO) -> None:
        """Takes half a record back; where that fails too, the next record begins a new file."""
        try:
            file.truncate(self._size)
        except OSError:
            self.close()

    def _begin(self) -> None:
        """Always an empty file: one that is there may end within a record, so it is rotated."""
        file = _open_locked(self._path)
        if os.fstat(file.fileno()).st_size:
            with file:
                self._shift()
            file = _open_locked(self._path)
        self._file = file

    def _shift(self) -> None:
        """Moves every file one further: `file` to `file.1`, that to `file.2`."""
        last = 0
        while self._numbered(last + 1).exists():
            last += 1
        for number in range(last, -1, -1):
            if number < self._keep:
                self._numbered(number).replace(self._numbered(number + 1))
            else:
                self._numbered(number).unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _open_locked(path: Path) -> FileIO:
    """The file for appending, ours alone until it is closed."""
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", 0)
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def read_records(file: BinaryIO, name: str) -> Iterator[AuctionRecord]:
    """The records of a file, one after the other, each with the text of its rules.

    Holds one record at a time, and each text of rules once.

    Args:
        file: to read from, where it stands.
        name: how errors call it.

    Raises:
        RecordError: the file ends within a record, or what follows is none of a version that is
            known. The message says where; the records before it were given.
    """
    texts: dict[str, str] = {}
    number = start = 0
    while frame := _read_frame(file, f"{name}: record {number + 1} at byte {start}"):
        number += 1
        where = f"{name}: record {number} at byte {start}"
        yield _parse(frame[1], texts, where)
        start += frame[0]


def _read_frame(file: BinaryIO, where: str) -> tuple[int, bytes] | None:
    """One record's bytes and how many it takes with its length; None at the end of the file."""
    head = length = 0
    while True:
        byte = file.read(1)
        if not byte:
            if not head:
                return None
            raise RecordError(f"{where}: the file ends within its length; the rest is missing")
        length |= (byte[0] & 0x7F) << (7 * head)
        head += 1
        if byte[0] < 0x80:
            break
        if head == _VARINT_BYTES:
            raise RecordError(f"{where}: no length; is this a file of auction records?")
    if length > MAX_RECORD_BYTES:
        raise RecordError(
            f"{where}: its length is {length} bytes; expected at most {MAX_RECORD_BYTES}; "
            "is this a file of auction records?"
        )
    data = file.read(length)
    if len(data) < length:
        raise RecordError(
            f"{where}: the file ends within it, {len(data)} of {length} bytes are there"
        )
    return head + length, data


def _parse(data: bytes, texts: dict[str, str], where: str) -> AuctionRecord:
    try:
        record = AuctionRecord.FromString(data)
    except DecodeError:
        raise RecordError(f"{where}: expected an xsp.bid.v1.AuctionRecord in protobuf") from None
    if not 1 <= record.format_version <= FORMAT_VERSION:
        raise RecordError(
            f"{where}: format_version: got {record.format_version}; "
            f"this version reads up to {FORMAT_VERSION}"
        )
    rules = record.rules
    if rules.text:
        texts[rules.digest] = rules.text
    elif rules.digest in texts:
        rules.text = texts[rules.digest]
    else:
        raise RecordError(
            f"{where}: its rules ({rules.digest[:12]}…) are not in the file before it; "
            "expected them with the first record that has them"
        )
    return record


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the top bit set."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
