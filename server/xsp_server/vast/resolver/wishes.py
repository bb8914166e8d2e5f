"""What a caller wants of a resolution, and what the server allows at most."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, ConfigDict, Field

from xsp.vast.v1 import resolve_options_pb2 as pb
from xsp.vast.v1.vast_lists_pb2 import VastVersion
from xsp_server.errors import InvalidRequest, Violation

Firing: TypeAlias = pb.ErrorFiring.ValueType


class InvalidOptions(InvalidRequest):
    """A source or an option has a value that it can't have, or contradicts another."""

    reason = "FIELD_INVALID"


class ResolverSettings(BaseModel):
    """What resolving a VAST chain may cost at most; callers may ask for less."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_hops: Annotated[int, Field(ge=0, le=100)] = 20
    """Wrappers on the way to one InLine. Callers that don't say get 5."""
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 10
    """HTTP redirects in one fetch. Callers that don't say get 5."""
    max_fetches: Annotated[int, Field(ge=0, le=10_000)] = 50
    """HTTP requests of one call. Also what callers get that don't say."""
    max_documents: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Documents of one call, those from the cache included."""
    max_ads: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Ads of one document, and of one answer. Also what callers get that don't say."""
    max_body_bytes: Annotated[int, Field(ge=1, le=16_777_216)] = 4_194_304
    """Bytes of one document. Callers that don't say get 1048576."""
    hop_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 5_000
    """Time for one hop, in ms. Callers that don't say get 1000."""
    total_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 10_000
    """Time for one call, in ms. Callers that don't say get 3000."""
    concurrency: Annotated[int, Field(ge=1, le=100)] = 8
    """Fetches of one call that are under way at once."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of one call, complete.

    Attributes:
        max_hops: Wrappers followed on the way to one InLine.
        max_redirects: HTTP redirects followed in one fetch.
        max_fetches: HTTP requests for the whole call.
        max_ads: ads given back, and taken from one document.
        max_body_bytes: size of one document, unpacked.
        hop_timeout: seconds for one hop.
        total_timeout: seconds for the whole call.
        allow_multiple_ads: in the place of every Wrapper's; None: each its own.
        follow_additional_wrappers: likewise.
        fallback_on_no_ad: likewise.
        requirements: what an ad has to be; None: anything will do.
        blocked_categories: besides those of the Wrappers.
        enforce_blocked_categories: whether an ad of such is refused.
        firing: who requests the planned Error URLs.
        parts: of the answer.
        xml_version: of the merged XML; unspecified: the lowest, from the highest in the chains on,
            that holds all of it.
        strict: whether deviations from the standard are listed.
        use_cache: whether documents may come from the cache.
        headers: to send with every request.
    """

    max_hops: int
    max_redirects: int
    max_fetches: int
    max_ads: int
    max_body_bytes: int
    hop_timeout: float
    total_timeout: float
    allow_multiple_ads: bool | None
    follow_additional_wrappers: bool | None
    fallback_on_no_ad: bool | None
    requirements: pb.AdRequirements | None
    blocked_categories: Sequence[pb.CategoryBlock]
    enforce_blocked_categories: bool
    firing: Firing
    parts: frozenset[int]
    xml_version: VastVersion.ValueType
    strict: bool
    use_cache: bool
    headers: Mapping[str, str]


def read(
    options: pb.ResolveOptions,
    settings: ResolverSettings,
    *,
    max_hops: int = 5,
    timeout: float | None = None,
    path: str = "options",
) -> Wishes:
    """The options with their defaults, within the server's settings.

    Args:
        options: the contract's message.
        settings: the server's.
        max_hops: where the options don't say.
        timeout: seconds that the caller waits; None: nobody knows.
        path: where the message stands, for errors.

    Raises:
        InvalidOptions: a value that can't be, or two that contradict each other.
    """
    wishes = _read(options.SerializeToString(), settings, max_hops, path)
    if timeout is not None and timeout < wishes.total_timeout:
        return replace(wishes, total_timeout=timeout)
    return wishes


@lru_cache(maxsize=256)
def _read(wire: bytes, settings: ResolverSettings, max_hops: int, path: str) -> Wishes:
    """The same for options as bytes: most calls of a server have one of a few."""
    options = pb.ResolveOptions.FromString(wire)
    violations = tuple(_violations(options, path))
    if violations:
        raise InvalidOptions(*violations)
    limits = {
        name: min(_given(options, name, default), getattr(settings, name))
        for name, default in (
            ("max_hops", max_hops),
            ("max_redirects", 5),
            ("max_fetches", settings.max_fetches),
            ("max_ads", settings.max_ads),
            ("max_body_bytes", 1_048_576),
        )
    }
    requested_with = options.requested_with
    return Wishes(
        **limits,
        hop_timeout=min(_seconds(options, "hop_timeout", 1.0), settings.hop_timeout_ms / 1000),
        total_timeout=min(
            _seconds(options, "total_timeout", 3.0), settings.total_timeout_ms / 1000
        ),
        allow_multiple_ads=_flag(options, "allow_multiple_ads"),
        follow_additional_wrappers=_flag(options, "follow_additional_wrappers"),
        fallback_on_no_ad=_flag(options, "fallback_on_no_ad"),
        requirements=options.requirements if options.HasField("requirements") else None,
        blocked_categories=options.blocked_categories,
        enforce_blocked_categories=_flag(options, "enforce_blocked_categories") is not False,
        firing=options.error_firing,
        parts=frozenset(options.parts) or _ALL_PARTS,
        xml_version=options.xml_version,
        strict=options.strict,
        use_cache=_flag(options, "use_cache") is not False,
        headers={"X-Device-Requested-With": requested_with} if requested_with else _NONE,
    )


_ALL_PARTS: Final = frozenset(pb.ResolutionPart.values()) - {
    pb.RESOLUTION_PART_UNSPECIFIED,
    pb.RESOLUTION_PART_SOURCE_DOCUMENTS,
}
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def seconds(duration: Duration) -> float:
    """A duration as a number."""
    return duration.seconds + duration.nanos / 1e9


_POSITIVE = "expected more than 0"


def _violations(options: Any, path: str) -> Iterator[Violation]:
    for name in ("max_ads", "max_body_bytes"):
        if options.HasField(name) and getattr(options, name) < 1:
            yield Violation(f"{path}.{name}", _POSITIVE)
    for name in ("hop_timeout", "total_timeout"):
        if options.HasField(name) and seconds(getattr(options, name)) <= 0:
            yield Violation(f"{path}.{name}", _POSITIVE)
    for index, part in enumerate(options.parts):
        if part not in _ALL_PARTS and part != pb.RESOLUTION_PART_SOURCE_DOCUMENTS:
            yield Violation(f"{path}.parts[{index}]", f"expected a part of the answer, got {part}")
    if options.error_firing not in pb.ErrorFiring.values():
        described = f"expected who requests Error URLs, got {options.error_firing}"
        yield Violation(f"{path}.error_firing", described)
    if options.xml_version not in VastVersion.values():
        described = f"expected a version of VAST as 42, got {options.xml_version}"
        yield Violation(f"{path}.xml_version", described)
    if _CONTROL.search(options.requested_with):
        yield Violation(f"{path}.requested_with", "a control character; expected one line of text")
    yield from _of_requirements(options.requirements, f"{path}.requirements")


def _of_requirements(needs: pb.AdRequirements, path: str) -> Iterator[Violation]:
    if needs.linearity not in pb.Linearity.values():
        yield Violation(f"{path}.linearity", f"expected 1 or 2, got {needs.linearity}")
    shortest, longest = seconds(needs.min_duration), seconds(needs.max_duration)
    if shortest < 0:
        yield Violation(f"{path}.min_duration", "expected 0 or more")
    if needs.HasField("max_duration") and longest < max(shortest, 0):
        expected = "expected min_duration or more" if shortest > 0 else "expected 0 or more"
        yield Violation(f"{path}.max_duration", expected)


def _given(options: Any, name: str, default: int) -> int:
    if not options.HasField(name):
        return default
    value: int = getattr(options, name)
    return value


def _flag(options: Any, name: str) -> bool | None:
    if not options.HasField(name):
        return None
    value: bool = getattr(options, name)
    return value


def _seconds(options: Any, name: str, default: float) -> float:
    if not options.HasField(name):
        return default
    return seconds(getattr(options, name))
