"""OpenRTB paths as walks over messages, made once from the descriptors.

A path names members as OpenRTB does, from the bid request down: `device.geo.lat`. Arrays are
walked item by item: `user.eids.uids.id`. Below an `ext`, a name without a field is a member of its
raw JSON, at any depth: `user.ext.prebid.buyeruids`; `user.ext.*` is all of these members.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.privacy.words import Action, Signal, Treatment

RAW_JSON: Final = "raw_json"
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Edit:
    """What is done at the end of a walk, and why."""

    treatment: Treatment
    signal: Signal
    rule_id: str


@dataclass(slots=True)
class Members:
    """What goes of a JSON object: members by name, wholly or in part.

    Attributes:
        edit: set where the object itself goes.
        inner: what goes of its members.
    """

    edit: Edit | None = None
    inner: "dict[str, Members]" = field(default_factory=dict)


@dataclass(slots=True)
class Step:
    """One field on the way.

    Attributes:
        name: the field.
        repeated: whether it is an array.
        edit: what is done to it; None: it is passed through.
        inner: the fields below it that are of interest.
        raw: what goes of its raw JSON, where it is an `ext`.
    """

    name: str
    repeated: bool
    edit: Edit | None = None
    inner: "dict[str, Step]" = field(default_factory=dict)
    raw: Members | None = None


def check(path: str, treatment: Treatment) -> None:
    """Tells whether a treatment suits what stands at a path.

    Raises:
        ValueError: there is no such path, or something there that can't be treated so.
    """
    known, raw = _resolve(path)
    if raw:
        if treatment.action is not Action.REMOVE:
            raise ValueError(f"members without a field can only be removed, not {treatment.action}")
        return
    last = known[-1]
    if treatment.action is Action.TRUNCATE and (
        last.type != FieldDescriptor.TYPE_STRING or last.is_repeated
    ):
        raise ValueError("only text, an IP address, can be truncated")
    if treatment.action is Action.ROUND:
        _check_round(last, treatment)


def compile_steps(edits: Iterable[tuple[str, Edit]]) -> tuple[Step, ...]:
    """The walk that does all of the edits. What is below a removed object needs no edit."""
    root = Step("", repeated=False)
    for path, edit in edits:
        known, raw = _resolve(path)
        if known and known[-1].name == ALL_FIELD:
            raise AssertionError
        _add(root, known, raw, edit)
    return tuple(root.inner.values())
