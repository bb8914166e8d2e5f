"""What a message becomes in a version: which fields are written as what, and in which order."""

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from google.protobuf.descriptor import Descriptor

from xsp.vast.v1 import vast_pb2
from xsp_server.vast.schema import VAST, Element, Version


class AttributePlan(NamedTuple):
    """An attribute to write.

    Attributes:
        name: as the version spells it.
        field: where its value is.
        required: whether the version wants it.
    """

    name: str
    field: str
    required: bool


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """An element to write.

    Attributes:
        name: of the element.
        field: where its value is; empty for one that only groups others.
        required: whether the version wants at least one.
        most: how many the version allows; None: any number.
        opaque: whether it holds XML of the parties' own.
        plan: for its message, or for what a group holds; None for a string or a number.
    """

    name: str
    field: str
    required: bool
    most: int | None
    opaque: bool
    plan: "Plan | None"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a message, or a group within one, becomes.

    Attributes:
        text: the field with the element's own text; empty for none.
        attributes: in the order of the table.
        children: in the order of the version's schema.
        fields: all fields that are written, those in groups too.
    """

    text: str
    attributes: tuple[AttributePlan, ...]
    children: tuple[ChildPlan, ...]
    fields: frozenset[str]


@cache
def plan_of(version: Version) -> Plan:
    """The plan for a whole document."""
    return _plan(vast_pb2.Vast.DESCRIPTOR, VAST, version)


def _plan(descriptor: Descriptor, element: Element, version: Version) -> Plan:
    attributes = tuple(
        AttributePlan(each.name, each.field, each.required[version])
        for each in element.attributes
        if version in each.required and each.type != "any"
    )
    order = element.order(version) or ()
    known = [each for each in element.children if version in each.counts]
    known.sort(key=lambda each: order.index(each.name) if each.name in order else len(order))
    children = tuple(_child(descriptor, each, version) for each in known)
    text = ""
    if element.type not in {"container", "xml"}:
        text = "url" if "url" in descriptor.fields_by_name else "value"
    fields = {text} | {each.field for each in attributes} | {each.field for each in children}
    for child in children:
        if not child.field and child.plan:
            fields |= child.plan.fields
    return Plan(text, attributes, children, frozenset(fields - {""}))


def _child(descriptor: Descriptor, element: Element, version: Version) -> ChildPlan:
    plan = None
    if not element.field:
        plan = _plan(descriptor, element, version)
    elif element.type != "xml":
        message = descriptor.fields_by_name[element.field].message_type
        plan = _plan(message, element, version) if message else None
    required = element.counts[version][0] > 0
    most = element.most(version)
    return ChildPlan(element.name, element.field, required, most, element.type == "xml", plan)


def _labels() -> dict[tuple[str, str], str]:
    """How XML calls each field: by message and field, a path below the message's element."""
    labels: dict[tuple[str, str], str] = {}

    def note(descriptor: Descriptor, element: Element, group: str) -> None:
        for attribute in element.attributes:
            if attribute.type != "any":
                labels[descriptor.name, attribute.field] = f"@{attribute.name}"
        for child in element.children:
            if not child.field:
                note(descriptor, child, f"{child.name}/")
                continue
            labels[descriptor.name, child.field] = f"{group}{child.name}"
            message = descriptor.fields_by_name[child.field].message_type
            if message and child.type != "xml":
                note(message, child, "")

    note(vast_pb2.Vast.DESCRIPTOR, VAST, "")
    return labels


LABELS: Final = _labels()
"""Paths such as "@adType" or "AdVerifications/Verification" by name of message and of field."""
