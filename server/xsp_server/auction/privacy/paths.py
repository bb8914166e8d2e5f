"""OpenRTB paths as walks over messages, made once from the descriptors.

A path names members as OpenRTB does, from the bid request down: `device.geo.lat`. Arrays are
walked item by item: `user.eids.uids.id`. Below an `ext`, a name may also be a member of the raw
JSON, at any depth: `user.ext.prebid.buyeruids`; `user.ext.*` is every member without a field.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.privacy.words import Action, Signal, Treatment

RAW_JSON: Final = "raw_json"
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Edit:
    """What is done at the end of a path, and why."""

    treatment: Treatment
    signal: Signal
    rule_id: str

    def joined(self, other: "Edit") -> "Edit":
        """One edit for both; it bears the name of the first that was as strict."""
        strictest = self.treatment.stricter(other.treatment)
        if strictest == self.treatment:
            return self
        return Edit(strictest, other.signal, other.rule_id)


@dataclass(slots=True)
class Members:
    """What goes of raw JSON.

    Attributes:
        edit: set where the member itself goes; at the root, where all members go.
        inner: the members below that are of interest.
    """

    edit: Edit | None = None
    inner: "dict[str, Members]" = field(default_factory=dict)

    def any_edit(self) -> Edit:
        """One of the edits; there always is one."""
        return self.edit or next(iter(self.inner.values())).any_edit()


@dataclass(slots=True)
class Step:
    """One field on the way; at the root, the bid request.

    Attributes:
        name: the field.
        repeated: whether it is an array.
        edit: what is done to it; None: it is passed through.
        inner: the fields below that are of interest, by name.
        raw: what goes of its raw JSON; None: nothing, or it has none.
    """

    name: str = ""
    repeated: bool = False
    edit: Edit | None = None
    inner: "dict[str, Step]" = field(default_factory=dict)
    raw: Members | None = None


def compile_walk(edits: Iterable[tuple[str, Edit]]) -> Step:
    """The walk from the bid request that does all of the edits.

    Raises:
        ValueError: a path leads nowhere, or to what can't be treated so.
    """
    root = Step()
    for path, edit in edits:
        _add(root, BidRequest.DESCRIPTOR, path.split("."), edit)
    return root


def check(path: str, treatment: Treatment) -> None:
    """Makes sure that a treatment suits what stands at a path.

    Raises:
        ValueError: the path leads nowhere, or to what can't be treated so; the message says what
            was expected.
    """
    compile_walk([(path, Edit(treatment, Signal.POLICY, ""))])


def _add(step: Step, descriptor: Descriptor, names: list[str], edit: Edit) -> None:
    name, *below = names
    next_field = None if name == RAW_JSON else descriptor.fields_by_name.get(name)
    is_ext = RAW_JSON in descriptor.fields_by_name
    if next_field is None and not is_ext:
        raise ValueError(f"a path of OpenRTB: {_spoken(descriptor)} has no {name!r}")
    if is_ext and (next_field is None or edit.treatment.action is Action.REMOVE):
        _add_raw(step, names, edit)
    if next_field is None:
        return
    inner = step.inner.setdefault(name, Step(name, next_field.is_repeated))
    if not below:
        _check_kind(next_field, edit.treatment)
        inner.edit = inner.edit.joined(edit) if inner.edit else edit
    elif next_field.message_type is None:
        raise ValueError(f"a path of OpenRTB: {name!r} is no object")
    else:
        _add(inner, next_field.message_type, below, edit)


def _add_raw(step: Step, names: list[str], edit: Edit) -> None:
    if edit.treatment.action is not Action.REMOVE:
        raise ValueError("remove, the only thing that can be done to a member without a field")
    if "" in names or ALL in names[1:] or (names[0] == ALL and names[1:]):
        raise ValueError(f"names between dots, or one {ALL!r} after an ext")
    members = step.raw = step.raw or Members()
    for name in names if names != [ALL] else []:
        members = members.inner.setdefault(name, Members())
    members.edit = members.edit or edit


def _check_kind(last: FieldDescriptor, treatment: Treatment) -> None:
    if treatment.action is Action.TRUNCATE and (
        last.type != FieldDescriptor.TYPE_STRING or last.is_repeated
    ):
        raise ValueError("remove or keep; only an IP address can be truncated")
    if treatment.action is not Action.ROUND:
        return
    if last.is_repeated or last.type not in {
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_INT32,
    }:
        raise ValueError("remove or keep; only a number can be rounded")
    if last.type == FieldDescriptor.TYPE_INT32 and treatment.precision.decimals >= 0:
        raise ValueError("decimals below 0 to round a whole number: -1 rounds to tens")


def _spoken(descriptor: Descriptor) -> str:
    """A message as people name it: `Device.Ext`."""
    return descriptor.full_name.removeprefix("xsp.openrtb.v2.").removeprefix("BidRequest.")
