"""Calls that are made again while they are under way, or after: one run, one answer for all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from xsp_server.service.request_ids import Answers, content_of

Answer = TypeVar("Answer", bound=Message)


@dataclass(slots=True)
class _Run(Generic[Answer]):
    """One run.

    Attributes:
        content: what its calls say.
        task: does it.
        waiting: how many calls wait for it.
    """

    content: bytes
    task: asyncio.Task[Answer]
    waiting: int = 0


class Once(Generic[Answer]):
    """Does what calls ask for once for each `request_id`.

    A call that comes again while the first is under way waits for the same run; one that comes
    later gets the same answer, as long as that is remembered. A run ends early only when nobody
    waits for it any more.
    """

    def __init__(self, answers: Answers[Answer]) -> None:
        """Takes where answers are remembered."""
        self._answers = answers
        self._under_way: dict[str, _Run[Answer]] = {}

    async def answer(
        self,
        request_id: str,
        request: Message,
        act: Callable[[], Awaitable[Answer]],
        is_final: Callable[[Answer], bool] = lambda _: True,
    ) -> Answer:
        """The answer to a call.

        Args:
            request_id: its id.
            request: what it says.
            act: does it.
            is_final: whether an answer is to be remembered; else the same call again is a new one.

        Raises:
            RequestIdReused: there was a call with this id and other content.
        """
        known = self._answers.find(request_id, request)
        if known is not None:
            return known
        run = self._under_way.get(request_id)
        if run is None:
            content = content_of(request)
            doing = self._do(request_id, content, act, is_final)
            run = _Run(content, asyncio.create_task(doing))
            self._under_way[request_id] = run
        elif run.content != content_of(request):
            raise self._answers.reused(request_id, run.content, request)
        run.waiting += 1
        try:
            return await asyncio.shield(run.task)
        finally:
            run.waiting -= 1
            if not run.waiting:
                self._forget(request_id, run.task)
                run.task.cancel()  # which does nothing to one that is done

    async def _do(
        self,
        request_id: str,
        content: bytes,
        act: Callable[[], Awaitable[Answer]],
        is_final: Callable[[Answer], bool],
    ) -> Answer:
        try:
            answer = await act()
            if is_final(answer):
                self._answers.add(request_id, content, answer)
            return answer
        finally:
            self._forget(request_id, asyncio.current_task())

    def _forget(self, request_id: str, task: object) -> None:
        """Takes a run away; not another one that has begun since with the same id."""
        run = self._under_way.get(request_id)
        if run is not None and run.task is task:
            del self._under_way[request_id]
