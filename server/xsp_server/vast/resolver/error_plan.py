"""Which Error URLs are to be requested with which code. Pure (VAST 4.3 section 2.3.6)."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from xsp.vast.v1 import resolution_pb2
from xsp.vast.v1 import resolve_options_pb2 as options_pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.resolver.outcome import Chain, Failed, LeftOut, NoAd, Outcome
from xsp_server.vast.resolver.reasons import CODES, Code
from xsp_server.vast.resolver.wishes import Firing

Fill = Callable[[str, int, Chain, bool], str]
"""From an Error URL, a code, the chain that failed, and whether the server requests the URL, to the
URL with its macros filled."""
Duty: TypeAlias = resolution_pb2.FiringDuty.ValueType

_NOT_REQUESTED = frozenset({"", "about:blank"})


def plan_errors(outcome: Outcome, fill: Fill, firing: Firing) -> list[resolution_pb2.ErrorUrl]:
    """The Error URLs of all that failed, in the order of the failures.

    Those of a failed ad and of every Wrapper above it must be requested. When there was no ad, it
    is the root Errors of the empty document that must, and the Wrappers' that should. Those of
    Wrappers that were not allowed may. Root Errors of a first document without ads should.

    Args:
        outcome: of the whole call.
        fill: fills macros.
        firing: which of them the server requests.
    """
    by_server = FIRED_BY_SERVER.get(firing, frozenset())
    return [
        resolution_pb2.ErrorUrl(
            url=fill(each.url, each.code, each.chain, each.duty in by_server),
            code=each.code,
            duty=each.duty,
            hop=each.hop,
            failure=each.failure,
            fired_by_server=each.duty in by_server,
        )
        for each in _planned(outcome)
    ]


FIRED_BY_SERVER = {
    options_pb.ERROR_FIRING_SERVER_MUST: frozenset({resolution_pb2.FIRING_DUTY_MUST}),
    options_pb.ERROR_FIRING_SERVER_MUST_AND_SHOULD: frozenset(
        {resolution_pb2.FIRING_DUTY_MUST, resolution_pb2.FIRING_DUTY_SHOULD}
    ),
}
"""Duties of the URLs that the server requests, by the wish for it."""


class _Planned(NamedTuple):
    """An Error URL as its document has it, and what is to become of it."""

    url: str
    code: Code
    duty: Duty
    hop: int
    chain: Chain
    failure: int | None = None


def _planned(outcome: Outcome) -> Iterator[_Planned]:
    for index, failed in enumerate(outcome.failed):
        yield from _of_failure(index, failed)
    for left_out in outcome.left_out:
        yield from _of_left_out(left_out)
    for no_ad in outcome.no_ads:
        yield from _of_no_ad(no_ad)


def _of_failure(index: int, failed: Failed) -> Iterator[_Planned]:
    code = CODES[failed.reason]
    is_no_ad = failed.reason == lists.FAILURE_REASON_NO_AD
    duty = resolution_pb2.FIRING_DUTY_SHOULD if is_no_ad else resolution_pb2.FIRING_DUTY_MUST
    for hop, url in _of_chain(failed.chain):
        yield _Planned(url, code, duty, hop, failed.chain, index)
    for url in _requested(failed.root_errors):
        yield _Planned(url, code, resolution_pb2.FIRING_DUTY_MUST, failed.hop, failed.chain, index)


def _of_left_out(left_out: LeftOut) -> Iterator[_Planned]:
    """Those of a Wrapper that was not allowed, but not of the Wrappers above it, which go on."""
    if left_out.reason == lists.FAILURE_REASON_WRAPPER_NOT_ALLOWED:
        code = CODES[left_out.reason]
        for hop, url in _of_chain(left_out.chain[-1:]):
            yield _Planned(url, code, resolution_pb2.FIRING_DUTY_MAY, hop, left_out.chain)


def _of_no_ad(no_ad: NoAd) -> Iterator[_Planned]:
    """The code is the only one that the standard has for root Errors (VAST 3.0 section 2.4.2.4)."""
    code = lists.VAST_ERROR_CODE_NO_AD_AFTER_WRAPPER
    for url in _requested(no_ad.root_errors):
        yield _Planned(url, code, resolution_pb2.FIRING_DUTY_SHOULD, no_ad.hop, ())


def _of_chain(chain: Chain) -> Iterator[tuple[int, str]]:
    for link in chain:
        for url in _requested(link.content.errors):
            yield link.hop, url


def _requested(urls: Iterable[str]) -> Iterator[str]:
    return (url for url in urls if url not in _NOT_REQUESTED)
