"""Recording while auctions run: they hand over and go on, a thread of its own writes."""

import asyncio
import queue
import threading
from dataclasses import dataclass

import structlog

from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_server.service.exchange import AuctionRun
from xsp_server.service.record import record
from xsp_server.service.record_file import RecordWriter
from xsp_server.service.report import report

log = structlog.get_logger(__name__)

ROOM = 1000
"""Auctions that wait to be written, at most."""


@dataclass(frozen=True, slots=True)
class _Taken:
    run: AuctionRun
    auction_id: str
    session: SessionContext | None
    options: AuctionOptions | None


class Recorder:
    """Writes a record of every auction that it is given.

    No auction ever waits for it: where the disk doesn't keep up, records are dropped and counted.
    The log tells when that begins, and how many were lost when the recorder has caught up.
    """

    def __init__(self, writer: RecordWriter, server_version: str, room: int = ROOM) -> None:
        """Writes nothing yet.

        Args:
            writer: where records go; it is the recorder's from now on.
            server_version: of this server.
            room: auctions that wait to be written, at most.
        """
        self._writer = writer
        self._server_version = server_version
        self._waiting: queue.Queue[_Taken | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._losses = _Losses()
        self._stopped = False

    @property
    def dropped(self) -> int:
        """Records that were not written, since the start."""
        return self._losses.total

    async def start(self) -> None:
        """Opens the file.

        Raises:
            ConfigError: it can't be written, or another process writes it.
        """
        await asyncio.to_thread(self._writer.open)
        self._thread.start()

    def take(
        self,
        run: AuctionRun,
        auction_id: str,
        session: SessionContext | None = None,
        options: AuctionOptions | None = None,
    ) -> None:
        """Hands over one auction. Never waits, never raises.

        Args:
            run: the auction; nothing of it may change any more.
            auction_id: what the server calls it.
            session: the session that it belongs to; None: none.
            options: what its caller asked for; None: nothing.
        """
        if self._stopped:
            self._losses.add("the recorder has stopped")
            return
        try:
            self._waiting.put_nowait(_Taken(run, auction_id, session, options))
        except queue.Full:
            self._losses.add("the disk doesn't keep up")

    async def stop(self) -> None:
        """Writes what is waiting, and closes the file. Later auctions are dropped."""
        self._stopped = True
        if self._thread.is_alive():
            await asyncio.to_thread(self._waiting.put, None)
            await asyncio.to_thread(self._thread.join)
        self._losses.tell()

    def _work(self) -> None:
        while (taken := self._waiting.get()) is not None:
            try:
                self._writer.append(self._record(taken))
            except Exception as error:  # noqa: BLE001 - the thread outlives any one record
                self._losses.add(f"{type(error).__name__}: {error}")
            else:
                if self._waiting.empty():
                    self._losses.tell()
        self._writer.close()

    def _record(self, taken: _Taken) -> AuctionRecord:
        full = report(taken.run, taken.auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
        return record(
            taken.run, full, self._server_version, session=taken.session, options=taken.options
        )


class _Losses:
    """Counts records that were dropped; two lines of log an episode, not one a record."""

    def __init__(self) -> None:
        self.total = 0
        self._told = 0
        self._lock = threading.Lock()  # both the loop and the recorder's thread lose records

    def add(self, reason: str) -> None:
        with self._lock:
            self.total += 1
            first = self.total == self._told + 1
        if first:
            log.warning("records are dropped", reason=reason)

    def tell(self) -> None:
        """Once it is over: how many."""
        with self._lock:
            lost, self._told = self.total - self._told, self.total
        if lost:
            log.warning("records were dropped", count=lost, total=self.total)
