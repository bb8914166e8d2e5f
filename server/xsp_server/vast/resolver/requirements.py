"""Whether an InLine ad is what the caller asked for. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from xsp.vast.v1 import resolve_options_pb2, vast_pb2
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.resolver.reasons import Reason
from xsp_server.vast.resolver.wishes import seconds

Needs = resolve_options_pb2.AdRequirements
Refusal = tuple[Reason, str]
"""The rule that refuses an ad, and what was wrong, for a reader."""


def refusal_of(ad: vast_pb2.Ad, needs: Needs) -> Refusal | None:
    """The first requirement that an InLine ad doesn't meet; None: it meets all."""
    return next((refusal for check in _CHECKS for refusal in check(ad, needs)), None)


def refusal_of_wrapper(ad: vast_pb2.Ad, needs: Needs) -> Refusal | None:
    """The requirement that a Wrapper itself doesn't meet, whatever is behind it; None: it does."""
    return next(_check_condition(ad, needs), None)


def _check_linearity(ad: vast_pb2.Ad, needs: Needs) -> Iterator[Refusal]:
    if needs.linearity == resolve_options_pb2.LINEARITY_UNSPECIFIED:
        return
    creatives = ad.inline.creatives
    has_linear = any(creative.HasField("linear") for creative in creatives)
    has_non_linear = any(creative.HasField("non_linear_ads") for creative in creatives)
    if not (has_linear or has_non_linear):
        yield lists.FAILURE_REASON_AD_TYPE, "neither a Linear nor a NonLinear creative"
    elif needs.linearity == resolve_options_pb2.LINEARITY_LINEAR and not has_linear:
        yield lists.FAILURE_REASON_LINEARITY, "a NonLinear ad; expected a Linear one"
    elif needs.linearity == resolve_options_pb2.LINEARITY_NON_LINEAR and not has_non_linear:
        yield lists.FAILURE_REASON_LINEARITY, "a Linear ad; expected a NonLinear one"


def _check_duration(ad: vast_pb2.Ad, needs: Needs) -> Iterator[Refusal]:
    shortest = seconds(needs.min_duration) if needs.HasField("min_duration") else None
    longest = seconds(needs.max_duration) if needs.HasField("max_duration") else None
    if shortest is None and longest is None:
        return
    for linear in _linears(ad):
        duration = _duration(linear.duration)
        if duration is None:
            yield lists.FAILURE_REASON_DURATION, "no duration that reads; limits are given"
        elif shortest is not None and duration < shortest:
            described = f"a duration of {duration:g} s; expected {shortest:g} s or more"
            yield lists.FAILURE_REASON_DURATION, described
        elif longest is not None and duration > longest:
            described = f"a duration of {duration:g} s; expected {longest:g} s or less"
            yield lists.FAILURE_REASON_DURATION, described


def _check_category(ad: vast_pb2.Ad, needs: Needs) -> Iterator[Refusal]:
    if needs.require_category and not any(each.value for each in ad.inline.categories):
        yield lists.FAILURE_REASON_CATEGORY_MISSING, "no Category; one is required"


def _check_media(ad: vast_pb2.Ad, needs: Needs) -> Iterator[Refusal]:
    types = {_plain_type(each) for each in needs.media_types}
    frameworks = {each.casefold() for each in needs.api_frameworks}
    if not (types or frameworks):
        return
    for linear in _linears(ad):
        if not any(
            (not types or _plain_type(file.type) in types)
            and (not file.api_framework or not frameworks or _in(file.api_framework, frameworks))
            for file in linear.media_files.media_files
        ):
            described = "no MediaFile of a type and API framework that can be played"
            yield lists.FAILURE_REASON_MEDIA_NOT_SUPPORTED, described


def _check_mezzanine(ad: vast_pb2.Ad, needs: Needs) -> Iterator[Refusal]:
    if needs.require_mezzanine:
        for linear in _linears(ad):
            if not linear.media_files.mezzanines:
                yield lists.FAILURE_REASON_MEZZANINE_MISSING, "no Mezzanine; one is required"


def _check_condition(ad: vast_pb2.Ad, needs: Needs) -> Iterator[Refusal]:
    refused = needs.HasField("accept_conditional_ads") and not needs.accept_conditional_ads
    if refused and ad.conditional_ad:
        yield lists.FAILURE_REASON_CONDITIONAL_AD, "a conditional ad; none is accepted"


_CHECKS: Final[Sequence[Callable[[vast_pb2.Ad, Needs], Iterator[Refusal]]]] = (
    _check_linearity,
    _check_duration,
    _check_category,
    _check_media,
    _check_mezzanine,
    _check_condition,
)


def _linears(ad: vast_pb2.Ad) -> Sequence[vast_pb2.Linear]:
    return [each.linear for each in ad.inline.creatives if each.HasField("linear")]


def _plain_type(text: str) -> str:
    """A MIME type without its parameters, for comparing."""
    return text.partition(";")[0].strip().casefold()


def _in(framework: str, frameworks: set[str]) -> bool:
    return framework.casefold() in frameworks


_DURATION: Final = re.compile(r"(\d{1,4}):([0-5]?\d):([0-5]?\d(?:\.\d{1,9})?)")


def _duration(text: str) -> float | None:
    """Seconds of HH:MM:SS or HH:MM:SS.mmm; None: it is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
