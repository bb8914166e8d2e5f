"""The sources of a call: checked, counted, and as the groups that they are in. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from xsp.vast.v1 import resolve_options_pb2 as pb
from xsp_server.errors import Violation
from xsp_server.vast.resolver.wishes import InvalidOptions, seconds

Mode: TypeAlias = pb.TagGroupMode.ValueType

MAX_SOURCES: Final = 200
"""Tags, documents and groups of one call together."""
MAX_DEPTH: Final = 4
"""Groups within each other."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, or a document.

    Attributes:
        index: its place among all of the call.
        path: where it stands in the request.
        source: what it says.
    """

    index: int
    path: str
    source: pb.VastSource


@dataclass(frozen=True, slots=True)
class Group:
    """Members and how they are asked.

    Attributes:
        mode: in what order, and when that is enough.
        members: in their order.
        timeout: seconds from the group's turn on; None: what is left around it.
    """

    mode: Mode
    members: Sequence["Tag | Group"]
    timeout: float | None = None

    def indices(self) -> Iterator[int]:
        """Places of all tags in it."""
        for member in self.members:
            yield from indices(member)


def indices(member: Tag | Group) -> Iterator[int]:
    """Places of all tags of a member of a group."""
    if isinstance(member, Tag):
        yield member.index
    else:
        yield from member.indices()


def arranged(sources: Sequence[pb.VastSource], path: str = "sources") -> Group:
    """The sources of a call, which together are a waterfall.

    Args:
        sources: as the request has them.
        path: where they stand, for errors.

    Raises:
        InvalidOptions: there is none, too many, or groups too deep within each other; or one
            doesn't say where to start, how its members are asked, or how long it may take.
    """
    arranging = _Arranging()
    members = arranging.read(sources, path, 0)
    if not sources:
        arranging.violations.append(Violation(path, "missing; expected at least one"))
    if arranging.seen > MAX_SOURCES:
        found = f"expected at most {MAX_SOURCES} in all, those in groups counted"
        arranging.violations.append(Violation(path, f"{found}; got {arranging.seen}"))
    if arranging.violations:
        raise InvalidOptions(*arranging.violations)
    return Group(pb.TAG_GROUP_MODE_WATERFALL, members)


class _Arranging:
    """One reading of the sources of a call."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.seen = 0
        self._tags = 0

    def read(self, sources: Sequence[pb.VastSource], path: str, depth: int) -> list[Tag | Group]:
        """Members of a group, below so many others."""
        self.seen += len(sources)
        return [
            self._group(source, f"{path}[{place}]", depth + 1)
            if source.HasField("group")
            else self._tag(source, f"{path}[{place}]")
            for place, source in enumerate(sources)
        ]

    def _tag(self, source: pb.VastSource, path: str) -> Tag:
        if not (source.tag_uri or source.document):
            self._wrong(f"{path}.start", "missing; expected tag_uri, document or group")
        self._timeout(source, path)
        tag = Tag(self._tags, path, source)
        self._tags += 1
        return tag

    def _group(self, source: pb.VastSource, path: str, depth: int) -> Group:
        group, timeout = source.group, self._timeout(source, path)
        if group.mode not in _MODES:
            expected = f"expected 1 to {max(_MODES)}: parallel, waterfall or first"
            self._wrong(f"{path}.group.mode", f"{expected}; got {group.mode}")
        if not group.members:
            self._wrong(f"{path}.group.members", "missing; expected at least one")
        if depth > MAX_DEPTH:
            self._wrong(f"{path}.group", f"expected at most {MAX_DEPTH} groups within each other")
            return Group(group.mode, (), timeout)
        return Group(group.mode, self.read(group.members, f"{path}.group.members", depth), timeout)

    def _timeout(self, source: pb.VastSource, path: str) -> float | None:
        if not source.HasField("timeout"):
            return None
        timeout = seconds(source.timeout)
        if timeout <= 0:
            self._wrong(f"{path}.timeout", "expected more than 0")
        return timeout

    def _wrong(self, path: str, message: str) -> None:
        self.violations.append(Violation(path, message))


_MODES: Final = frozenset(pb.TagGroupMode.values()) - {pb.TAG_GROUP_MODE_UNSPECIFIED}
