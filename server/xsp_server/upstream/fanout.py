"""Many bidders, one deadline: nobody can delay or break another."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.upstream.bidder import Bidder
from xsp_server.upstream.transport import Ask


class FanOut:
    """Asks bidders at once and stops waiting at the deadline.

    A call that is still out then is not cancelled (cancelling grpc.aio calls leaks memory): it ends
    by the timeout it was given, its answer too late to count.
    """

    def __init__(self, bidders: Sequence[Bidder]) -> None:
        """Takes the bidders, whose order is the order of the replies."""
        self._bidders = tuple(bidders)
        self._late: set[asyncio.Task[Reply]] = set()

    async def ask(self, asks: Mapping[str, Ask], deadline: float) -> list[Reply]:
        """A reply of every bidder that is asked, those included that did not answer.

        Args:
            asks: the request as each bidder sees it, by bidder; who is not in it is not asked.
            deadline: loop time after which nobody is waited for.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        bidders = [bidder for bidder in self._bidders if bidder.name in asks]
        tasks = [
            loop.create_task(bidder.ask(asks[bidder.name], started, deadline), name=bidder.name)
            for bidder in bidders
        ]
        if not tasks:
            return []
        try:
            await asyncio.wait(tasks, timeout=deadline - started)
        finally:  # also when the caller walks away: the calls end by their own timeouts
            self._follow(task for task in tasks if not task.done())
        return [
            task.result() if task.done() else _unanswered(bidder)
            for bidder, task in zip(bidders, tasks, strict=True)
        ]

    async def close(self) -> None:
        """Waits for late calls, each bounded by its timeout, then closes every bidder."""
        while self._late:
            await asyncio.wait(self._late)
        await asyncio.gather(*(bidder.close() for bidder in self._bidders))

    def _follow(self, tasks: Iterable[asyncio.Task[Reply]]) -> None:
        """Holds a reference until the task ends; the loop itself keeps only weak ones."""
        for task in tasks:
            self._late.add(task)
            task.add_done_callback(self._late.discard)


def _unanswered(bidder: Bidder) -> Reply:
    return Reply(bidder.name, Outcome.TIMEOUT, None, detail="no answer before the deadline")
