"""Takes from a request what a walk says, and tells what it took."""

import math
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.privacy.paths import ALL, RAW_JSON, Edit, Members, Step
from xsp_server.auction.privacy.words import Action, Change, Precision
from xsp_server.openrtb.codec import exact

_INT32: Final = (-(2**31), 2**31 - 1)


def redact(request: BidRequest, walk: Step) -> tuple[BidRequest, tuple[Change, ...]]:
    """The request as a bidder may see it, and what was changed.

    The request that is given stays as it is; it is what comes back if there was nothing to change.
    """
    if not walk.inner and walk.raw is None:
        return request, ()
    copy = BidRequest()
    copy.CopyFrom(request)
    changes: list[Change] = []
    _walk_into(copy, walk, "", changes)
    return (copy, tuple(changes)) if changes else (request, ())


def _walk_into(message: Message, step: Step, path: str, changes: list[Change]) -> None:
    """Does what is to be done inside of the object that a step led to."""
    for inner in step.inner.values():
        here = f"{path}.{inner.name}" if path else inner.name
        if not inner.repeated:
            if message.HasField(inner.name):
                _treat(message, inner, here, changes)
        elif items := getattr(message, inner.name):
            if inner.edit is not None:
                _remove(message, inner.name, here, inner.edit, changes)
                continue
            for index, item in enumerate(items):
                _walk_into(item, inner, f"{here}[{index}]", changes)
    if step.raw is not None and message.HasField(RAW_JSON):
        _treat_raw(message, step.raw, path, changes)


def _treat(message: Message, step: Step, path: str, changes: list[Change]) -> None:
    """Does what is to be done to a field that is there, or inside of it."""
    edit = step.edit
    if edit is None:
        _walk_into(getattr(message, step.name), step, path, changes)
        return
    before = getattr(message, step.name)
    after = _TREATMENTS[edit.treatment.action](before, edit.treatment.precision)
    if after is None:
        _remove(message, step.name, path, edit, changes)
    elif after != before:
        setattr(message, step.name, after)
        changes.append(Change(path, edit.treatment.action, edit.signal, edit.rule_id))


def _remove(message: Message, name: str, path: str, edit: Edit, changes: list[Change]) -> None:
    message.ClearField(name)
    changes.append(Change(path, Action.REMOVE, edit.signal, edit.rule_id))


def _truncated(address: str, precision: Precision) -> str | None:
    """An IP address without its last bits; None for what is no IP address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    kept = precision.ipv4_bits if parsed.version == 4 else precision.ipv6_bits
    number = int(parsed)
    dropped = parsed.max_prefixlen - kept
    shorter = number >> dropped << dropped
    if shorter == number and "%" not in address:
        return address
    return str(type(parsed)(shorter))


def _rounded(number: float, precision: Precision) -> float | None:
    """A number without some decimals; None for what is no number."""
    if not math.isfinite(number):
        return None
    rounded = round(number, precision.decimals)
    if isinstance(rounded, int):
        least, greatest = _INT32
        return min(max(rounded, least), greatest)
    return rounded


def _removed(_value: Any, _precision: Precision) -> None:
    return None


_TREATMENTS: Final[dict[Action, Callable[[Any, Precision], Any]]] = {
    Action.REMOVE: _removed,
    Action.TRUNCATE: _truncated,
    Action.ROUND: _rounded,
}


def _treat_raw(ext: Any, members: Members, path: str, changes: list[Change]) -> None:
    """Takes members from raw JSON; all of it goes if it can't be read or written again."""
    if members.edit is not None:
        _remove(ext, RAW_JSON, _join(path, ALL), members.edit, changes)
        return
    try:
        if orjson.loads(ext.raw_json).keys().isdisjoint(members.inner):
            return
        remaining = exact.load(ext.raw_json.encode())
        dropped: list[Change] = []
        _drop(remaining, members, path, dropped)
        text = exact.dump(remaining).decode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        _remove(ext, RAW_JSON, _join(path, ALL), members.any_edit(), changes)
        return
    if not dropped:
        return
    if remaining:
        ext.raw_json = text
    else:
        ext.ClearField(RAW_JSON)
    told = {change.path for change in changes}
    changes.extend(change for change in dropped if change.path not in told)


def _drop(value: Any, members: Members, path: str, changes: list[Change]) -> None:
    """Takes members from JSON that was read; what is no object or array has none."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _drop(item, members, f"{path}[{index}]", changes)
    if not isinstance(value, dict):
        return
    for name, inner in members.inner.items():
        if name not in value:
            continue
        if inner.edit is None:
            _drop(value[name], inner, _join(path, name), changes)
        else:
            del value[name]
            changes.append(
                Change(_join(path, name), Action.REMOVE, inner.edit.signal, inner.edit.rule_id)
            )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
