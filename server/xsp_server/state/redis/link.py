"""One connection to one server, on which all calls of a tick of the event loop are one pipeline.

While a pipeline is under way the calls of the next ticks gather; they are the next pipeline. So
the server sees the calls in the order in which they were made, and no number of callers needs more
connections. Calls that follow each other are one run of their script, where the server takes keys
of several slots in one: it costs the server, and us, less than half.

redis-py makes the connection and speaks the protocol. It repeats nothing: after a lost reply it
can't know what may be repeated, and here the caller says so.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from redis.asyncio import Connection
from redis.exceptions import (
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from xsp_server.state.backend import StoreAway
from xsp_server.state.redis.scripts import Command, Script

PIPELINE_MAX: Final = 256
"""Most calls of one pipeline."""

SHARED_CALLS: Final = 64
"""Most calls that share one run of a script: nobody else is served meanwhile."""

SHARED_BYTES: Final = 65_536
"""Length of calls after which a run takes no more."""

BACKOFF: Final = (0.05, 1.0)
"""Seconds between two attempts to reach a server that is away: the first time, and at most."""


@dataclass(slots=True)
class Request:
    """One call.

    Attributes:
        command: what to send; of a script by its digest.
        script: the script, where it is one.
        repeatable: whether to do it twice is to do it once.
        asking: whether the server is importing the slot, and has to be told that we know.
        call: the one call of the script's list, which is the command's last argument; other calls
            may join it. Empty: the script takes no list, or there is none.
    """

    command: Command
    script: Script | None = None
    repeatable: bool = False
    asking: bool = False
    call: bytes = b""


@dataclass(slots=True)
class _Job:
    """A request that somebody waits for."""

    request: Request
    waiting: "asyncio.Future[Any]"
    reply: Any = None
    answered: bool = False
    repeated: bool = False


@dataclass(slots=True)
class Settings:
    """How a server is reached.

    Attributes:
        connect: makes a connection, not open yet.
        timeout: seconds for opening the connection, and for one pipeline.
        replicas: how many replicas must have a change before it is acknowledged.
        apart: two keys of different slots, to find out whether the server takes both in one
            script. None: it does not.
    """

    connect: Callable[[], Connection]
    timeout: float
    replicas: int = 0
    apart: tuple[str, str] | None = None


@dataclass(slots=True)
class _Health:
    """How often in a row the server failed us, and until when it is left alone."""

    failures: int = 0
    away_until: float = 0.0
    reason: str = field(default="not asked yet")

    def failed(self, now: float, reason: str, *, at_once: bool) -> None:
        """Counts a failure, and leaves the server alone for the longer the more there were.

        `at_once`: it may be asked again at once.
        """
        first, most = BACKOFF
        delay = min(first * 2.0**self.failures, most)
        self.failures = min(self.failures + 1, 16)
        spread = random.uniform(0.5, 1.0)  # noqa: S311 so that not all processes come at once
        self.away_until = 0.0 if at_once else now + delay * spread
        self.reason = reason


class Link:
    """The connection to one server. It opens with the first call, and again after a failure.

    A call whose reply is lost is sent once more if it is repeatable. A server that can't be
    reached, or does not answer in time, is left alone for a while; calls fail at once until then.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.on_disk: bool | None = None
        """Whether the server syncs each change to disk before it answers; None: not asked yet."""
        self._settings = settings
        self._connection: Connection | None = None
        self._shares = False
        self._jobs: list[_Job] = []
        self._working: asyncio.Task[None] | None = None
        self._health = _Health()
        self._closed = False

    async def run(self, request: Request) -> Any:
        """Sends a request with the others of this tick; its reply.

        The request is done also where the caller is cancelled.

        Raises:
            StoreAway: the server can't be reached, or the reply is lost.
            ResponseError: the server refuses the request.
        """
        loop = asyncio.get_running_loop()
        self._check_here(loop.time())
        waiting: asyncio.Future[Any] = loop.create_future()
        self._jobs.append(_Job(request, waiting))
        if self._working is None:
            self._working = loop.create_task(self._work())
        return await waiting

    async def close(self) -> None:
        """Ends what is under way, and the connection."""
        self._closed = True
        if self._working is not None:
            await asyncio.shield(self._working)
        await self._disconnect()

    def _check_here(self, now: float) -> None:
        """Raises StoreAway while the server is left alone."""
        if self._closed:
            raise self._away("closed")
        if now < self._health.away_until:
            raise self._away(self._health.reason, self._health.away_until - now)

    def _away(self, reason: str, retry_after: float = BACKOFF[1]) -> StoreAway:
        return StoreAway(f"{self.name}: {reason}", retry_after=retry_after)

    async def _work(self) -> None:
        """Sends pipeline after pipeline, until nothing waits."""
        try:
            while self._jobs:
                jobs = self._jobs[:PIPELINE_MAX]
                del self._jobs[: len(jobs)]
                await self._send(jobs)
        finally:
            self._working = None

    async def _send(self, jobs: list[_Job]) -> None:
        """One pipeline; whatever becomes of it everybody is told."""
        was_open = False
        try:
            async with asyncio.timeout(self._settings.timeout):
                connection = await self._open()
            was_open = True
            async with asyncio.timeout(self._settings.timeout):
                await self._exchange(connection, jobs)
            self._health.failures = 0
        except (RedisError, OSError) as error:  # asyncio's TimeoutError is an OSError
            await self._disconnect()
            self._lost(jobs, error, was_open=was_open)
        except BaseException as error:
            # The loop is closing, or we are wrong: nobody may wait for ever.
            await self._disconnect()
            self._tell_away([*jobs, *self._jobs], f"gave up: {error!r}", error)
            self._jobs = []
            raise
        else:
            for job in jobs:
                _tell(job)

    async def _open(self) -> Connection:
        """The connection, opened where it is not, or where the server has closed it."""
        if self._connection is not None and await _is_stale(self._connection):
            await self._disconnect()
        if self._connection is None:
            connection = self._connection = self._settings.connect()
            await connection.connect()  # type: ignore[no-untyped-call]
            self.on_disk = await _syncs_each_change(connection)
            self._shares = await _takes_both(connection, self._settings.apart)
        return self._connection

    async def _exchange(self, connection: Connection, jobs: Sequence[_Job]) -> None:
        """Sends the jobs, and reads their replies."""
        await _pipeline(connection, _runs(jobs) if self._shares else [[job] for job in jobs])
        unknown = [job for job in jobs if isinstance(job.reply, NoScriptError)]
        if unknown:
            # All of them, in their order: so what is of one book stays in the order of its calls.
            await _pipeline(connection, [[_by_text(job)] for job in unknown])
        if self._settings.replicas:
            await self._replicated(connection, jobs)

    async def _replicated(self, connection: Connection, jobs: Sequence[_Job]) -> None:
        """Raises TimeoutError unless enough replicas have all that the server has by now.

        WAIT waits for what this connection wrote last. A call that is repeated writes nothing, and
        yet what it acknowledges has to be there: so something is written in any case.
        """
        keys = (_key(job.request) for job in jobs if not isinstance(job.reply, Exception))
        key = next(filter(None, keys), None)
        if key is None:
            return
        wanted = self._settings.replicas
        patience = max(round(self._settings.timeout * 500), 1)
        commands: list[Command] = [("SET", f"{key}:w", b"", "PX", 1000), ("WAIT", wanted, patience)]
        packed = connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)
        await connection.read_response()
        reached = await connection.read_response()
        if reached < wanted:
            raise TimeoutError(f"{reached} replicas have the change, {wanted} are wanted")

    def _lost(self, jobs: list[_Job], error: Exception, *, was_open: bool) -> None:
        """Some replies will not come: repeats what is repeatable, once, and tells the others."""
        reason = str(error) or "no answer in time"
        may_repeat = was_open and not self._health.failures and not isinstance(error, TimeoutError)
        self._health.failed(asyncio.get_running_loop().time(), reason, at_once=may_repeat)
        again, given_up = [], []
        for job in jobs:
            if job.answered and not self._settings.replicas:
                _tell(job)
            elif may_repeat and job.request.repeatable and not job.repeated:
                job.repeated, job.answered = True, False
                again.append(job)
            else:
                given_up.append(job)
        if may_repeat:
            self._jobs[:0] = again
        else:
            given_up += self._jobs
            self._jobs = []
        self._tell_away(given_up, reason, error)

    def _tell_away(self, jobs: Sequence[_Job], reason: str, cause: BaseException) -> None:
        for job in jobs:
            if not job.waiting.done():
                away = self._away(reason, BACKOFF[0])
                away.__cause__ = cause
                job.waiting.set_exception(away)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _pipeline(connection: Connection, runs: Sequence[list[_Job]]) -> None:
    """Sends the runs at once, then reads all replies, errors of the server too."""
    commands: list[Command] = []
    for run in runs:
        if run[0].request.asking:
            commands.append(("ASKING",))
        commands.append(_command(run))
    packed = connection.pack_commands(commands)
    await connection.send_packed_command(packed, check_health=False)
    for run in runs:
        if run[0].request.asking:
            await connection.read_response()
        try:
            replies = _replies(run, await connection.read_response())
        except ResponseError as refusal:
            replies = [refusal] * len(run)
        for job, reply in zip(run, replies, strict=True):
            job.reply = reply
            job.answered = True


def _runs(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """The jobs in their order, those together that can be one run of their script."""
    runs: list[list[_Job]] = []
    room = 0
    for job in jobs:
        request = job.request
        shares = bool(request.call) and not request.asking
        if shares and room > 0 and len(runs[-1]) < SHARED_CALLS:
            runs[-1].append(job)
        else:
            runs.append([job])
            room = SHARED_BYTES if shares else 0
        room -= len(request.call)
    return runs


def _command(run: list[_Job]) -> Command:
    """The command of jobs that are one run."""
    first = run[0].request
    if len(run) == 1 or first.script is None:
        return first.command
    keys = [str(key) for job in run for key in job.request.command[3:-1]]
    return first.script.by_digest(keys, b"[" + b",".join([job.request.call for job in run]) + b"]")


def _replies(run: list[_Job], reply: Any) -> list[Any]:
    """What the reply to a run says to each of its jobs."""
    if not run[0].request.call:
        return [reply]
    return [_failed(each) if isinstance(each, str) else each for each in orjson.loads(reply)]


def _key(request: Request) -> str:
    """A key that the request is about; empty: it is about none."""
    if request.script is not None:
        return str(request.command[3])
    return "" if request.command[0] == "CLUSTER" else str(request.command[1])


def _failed(text: str) -> ResponseError:
    """An error of one call, of the class that redis-py would have made of it."""
    code = text.partition(" ")[0]
    return {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}.get(code, ResponseError)(text)


async def _is_stale(connection: Connection) -> bool:
    """Whether the server has closed the connection, or says what nobody asked."""
    try:
        return await connection.can_read()
    except (RedisError, OSError):
        return True


async def _syncs_each_change(connection: Connection) -> bool:
    """Whether the server syncs each change to disk before it answers; no where it won't tell."""
    found: dict[bytes, bytes] = {}
    for name in ("appendonly", "appendfsync"):
        await connection.send_command("CONFIG", "GET", name, check_health=False)
        try:
            reply = await connection.read_response()
        except ResponseError:
            continue
        found.update(zip(reply[::2], reply[1::2], strict=True))
    return found == {b"appendonly": b"yes", b"appendfsync": b"always"}


async def _takes_both(connection: Connection, keys: tuple[str, str] | None) -> bool:
    """Whether a script may have both keys, which are of different slots."""
    if keys is None:
        return False
    await connection.send_command("EVAL", "return 1", len(keys), *keys, check_health=False)
    try:
        return bool(await connection.read_response())
    except ResponseError:
        return False


def _by_text(job: _Job) -> _Job:
    """A job whose script the server does not know, to be sent with the script."""
    if job.request.script is not None:
        job.request.command = job.request.script.by_text(job.request.command)
    job.answered = False
    return job


def _tell(job: _Job) -> None:
    """Wakes a caller. One that was cancelled is not told; its call was done all the same."""
    if job.waiting.done():
        return
    if isinstance(job.reply, Exception):
        job.waiting.set_exception(job.reply)
    else:
        job.waiting.set_result(job.reply)
