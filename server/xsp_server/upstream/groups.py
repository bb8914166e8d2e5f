"""Groups: in what order a number of upstreams is asked, and when that is enough.

A group knows only names, time, and whether a member filled. What asking a member means is the
caller's `Step`. A member may be a group itself. The tags of a VAST call have groups of the same
kinds (`vast.resolver.groups`), which say besides what of a member counts.

| kind | asks | is done when | gives each member |
|---|---|---|---|
| `Parallel` | all at once | all are done | the group's time |
| `First` | all at once | one has filled, or all are done | the group's time |
| `Waterfall` | one by one | one has filled, or all are done | an equal share of the time left |

In a waterfall the time left is shared with the members still to come: of three with 300 ms the
first has 100; if it says no after 20 ms, the second has 140 of the 280 that are left.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from xsp_server.errors import ConfigError

M = TypeVar("M")

Step: TypeAlias = Callable[[M, float], Coroutine[Any, Any, bool]]
"""Asks a member until a time by the clock, and says whether it filled; returns by then, and raises
nothing. It is cancelled when its group no longer needs it."""


class Group(ABC, Generic[M]):
    """Members and the order in which they are asked."""

    def __init__(self, *members: "M | Group[M]") -> None:
        """Takes the members, in their order."""
        self.members = members

    def __iter__(self) -> Iterator[M]:
        """The members, those of inner groups in their place."""
        for member in self.members:
            if isinstance(member, Group):
                yield from member
            else:
                yield member

    @abstractmethod
    async def run(self, step: Step[M], clock: Callable[[], float], deadline: float) -> bool:
        """Asks the members.

        Args:
            step: asks one of them.
            clock: in seconds; the event loop's own in production.
            deadline: by the clock; no member is given more.

        Returns:
            Whether one of them filled.
        """

    def _start(
        self, step: Step[M], clock: Callable[[], float], deadline: float
    ) -> list["asyncio.Task[bool]"]:
        loop = asyncio.get_running_loop()
        return [loop.create_task(_run(member, step, clock, deadline)) for member in self.members]


class Parallel(Group[M]):
    """All at once, every one to its end."""

    async def run(self, step: Step[M], clock: Callable[[], float], deadline: float) -> bool:
        """See `Group.run`."""
        return any(await asyncio.gather(*self._start(step, clock, deadline)))


class First(Group[M]):
    """All at once; the first that fills ends it for the others."""

    async def run(self, step: Step[M], clock: Callable[[], float], deadline: float) -> bool:
        """See `Group.run`."""
        tasks = self._start(step, clock, deadline)
        try:
            for member in asyncio.as_completed(tasks):
                if await member:
                    return True
            return False
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Waterfall(Group[M]):
    """One by one, until one fills."""

    async def run(self, step: Step[M], clock: Callable[[], float], deadline: float) -> bool:
        """See `Group.run`."""
        for index, member in enumerate(self.members):
            now = clock()
            if now >= deadline:
                return False
            turn_ends = now + (deadline - now) / (len(self.members) - index)
            if await _run(member, step, clock, turn_ends):
                return True
        return False


async def _run(
    member: "M | Group[M]", step: Step[M], clock: Callable[[], float], deadline: float
) -> bool:
    if isinstance(member, Group):
        return await member.run(step, clock, deadline)
    return await step(member, deadline)


class GroupSettings(BaseModel):
    """A group of upstreams that are asked in an order of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Its name, by which another group may have it as a member."""
    ask: Literal["parallel", "waterfall", "first"]
    """`parallel`: all at once. `waterfall`: one by one until one fills, each with an equal share of
    the time left. `first`: all at once until one fills."""
    members: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of upstreams and of other groups, in the order in which they are asked."""


_KINDS: Mapping[str, type[Group[str]]] = {
    "parallel": Parallel,
    "waterfall": Waterfall,
    "first": First,
}


def build_group(settings: Sequence[GroupSettings], upstreams: Sequence[str]) -> Group[str] | None:
    """All groups as one, with those upstreams beside them that are in none.

    Args:
        settings: the groups, in any order.
        upstreams: the names of all upstreams.

    Returns:
        The group that holds everything; None where there are no groups.

    Raises:
        ConfigError: a name is taken or unknown, an upstream or group is a member twice, or a group
            is inside itself.
    """
    if not settings:
        return None
    groups = _by_name(settings, upstreams)
    _check_members(settings, {*upstreams, *groups})
    inner = {member for group in settings for member in group.members}
    outer = [name for name in (*groups, *upstreams) if name not in inner]
    circling = groups.keys() - set(_reached(outer, groups))
    if circling:
        raise ConfigError(
            f"groups: {', '.join(sorted(circling))} can't be reached from outside, so one is "
            "inside itself; expected a group to have only others as members"
        )
    return Parallel(*(_build(name, groups) for name in outer))


def _reached(names: Iterable[str], groups: Mapping[str, GroupSettings]) -> Iterator[str]:
    for name in names:
        yield name
        if name in groups:
            yield from _reached(groups[name].members, groups)


def _by_name(
    settings: Sequence[GroupSettings], upstreams: Sequence[str]
) -> dict[str, GroupSettings]:
    groups: dict[str, GroupSettings] = {}
    for index, group in enumerate(settings):
        if group.name in groups or group.name in upstreams:
            raise ConfigError(
                f'groups[{index}].name: got "{group.name}", which is taken; '
                "expected a name that no upstream and no other group has"
            )
        groups[group.name] = group
    return groups


def _check_members(settings: Sequence[GroupSettings], names: set[str]) -> None:
    seen: set[str] = set()
    for index, group in enumerate(settings):
        for place, name in enumerate(group.members):
            where = f"groups[{index}].members[{place}]"
            if name not in names:
                raise ConfigError(
                    f'{where}: got "{name}"; expected the name of an upstream or of a group'
                )
            if name in seen:
                raise ConfigError(
                    f'{where}: got "{name}", which is a member already; expected each once'
                )
            seen.add(name)


def _build(name: str, groups: Mapping[str, GroupSettings]) -> str | Group[str]:
    settings = groups.get(name)
    if settings is None:
        return name
    return _KINDS[settings.ask](*(_build(member, groups) for member in settings.members))
