"""Groups of sources: in what order they are asked, and what of them counts.

| mode | asks | is done when | gives |
|---|---|---|---|
| waterfall | one by one | one has an ad, or all are done | its ads, and what failed before |
| parallel | all at once | all are done | the ads of all, in the order of the members |
| first | all at once | one has an ad, or all are done | its ads, and what failed before |

What a `first` group gives up leaves its hops, and no failure, no Error URL and no cookie.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from xsp.vast.v1 import resolve_options_pb2 as pb
from xsp_server.vast.resolver.driver import Call, Driver
from xsp_server.vast.resolver.outcome import Outcome
from xsp_server.vast.resolver.sources import Group, Tag, indices

Members = Sequence[Tag | Group]


async def ask(call: Call, member: Tag | Group, deadline: float) -> Outcome:
    """All that a tag or a group gives.

    Args:
        call: that it is part of.
        member: to be asked now.
        deadline: seconds on the call's clock; its own timeout may be shorter.

    Raises:
        TagRefused: a tag is an address that the server must not reach.
    """
    if isinstance(member, Tag):
        return await Driver(call, member, deadline).run()
    if member.timeout is not None:
        deadline = min(deadline, call.clock.elapsed() + member.timeout)
    return await _MODES[member.mode](call, member.members, deadline)


async def _waterfall(call: Call, members: Members, deadline: float) -> Outcome:
    outcome = Outcome()
    for member in members:
        outcome.add([await ask(call, member, deadline)])
        if outcome.found:
            break
    return outcome


async def _parallel(call: Call, members: Members, deadline: float) -> Outcome:
    call = replace(call, at_once=True)
    async with _started([ask(call, member, deadline) for member in members]) as tasks:
        outcomes = await asyncio.gather(*tasks)
    _join_pods(outcomes)
    outcome = Outcome()
    outcome.add(outcomes)
    return outcome


async def _first(call: Call, members: Members, deadline: float) -> Outcome:
    """The members have a session each, so that cookies of those given up go nowhere."""
    calls = [replace(call, at_once=True, session=call.session.branch()) for _ in members]
    asks = [ask(own, member, deadline) for own, member in zip(calls, members, strict=True)]
    async with _started(asks) as tasks:
        over = await _until_one_fills(tasks)
    outcome = Outcome()
    for place, (own, member) in enumerate(zip(calls, members, strict=True)):
        if place in over:
            call.session.join(own.session)
            outcome.add([over[place]])
        else:
            call.trace.give_up(frozenset(indices(member)))
    return outcome


async def _until_one_fills(tasks: Sequence["asyncio.Task[Outcome]"]) -> dict[int, Outcome]:
    """Those that ended, by place, the last of them with an ad; of a tie the first member wins."""
    over: dict[int, Outcome] = {}
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        ended = {place: task.result() for place, task in enumerate(tasks) if task in done}
        over |= {place: outcome for place, outcome in ended.items() if not outcome.found}
        filled = [place for place, outcome in ended.items() if outcome.found]
        if filled:
            over[filled[0]] = ended[filled[0]]
            break
    return over


@asynccontextmanager
async def _started(
    asks: Sequence[Awaitable[Outcome]],
) -> AsyncIterator[Sequence["asyncio.Task[Outcome]"]]:
    """Runs them as long as they are needed, and leaves none behind."""
    tasks = [asyncio.ensure_future(each) for each in asks]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _join_pods(outcomes: Sequence[Outcome]) -> None:
    """Makes the pods of several one: each goes on where those before it end."""
    end = 0
    for outcome in outcomes:
        pod = [found for found in outcome.found if found.sequence is not None]
        for found in pod:
            found.sequence = (found.sequence or 0) + end
        end = max((found.sequence or 0 for found in pod), default=end)


_MODES: Mapping[int, Callable[[Call, Members, float], Awaitable[Outcome]]] = {
    pb.TAG_GROUP_MODE_PARALLEL: _parallel,
    pb.TAG_GROUP_MODE_WATERFALL: _waterfall,
    pb.TAG_GROUP_MODE_FIRST: _first,
}
