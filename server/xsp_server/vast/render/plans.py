"""What a message becomes in a version: which fields are written as what, and in which order."""

from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from xsp.vast.v1 import vast_pb2
from xsp_server.vast.schema import NAMESPACE, VAST, Element, Version

AttributePlan: TypeAlias = tuple[str, FieldDescriptor, bool]
"""An attribute to write; no class of its own, which would take longer to unpack.

Its name as the version spells it; where its value is; whether the version wants it.
"""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """An element to write.

    Attributes:
        name: of the element.
        field: where its value is; None for one that only groups others.
        repeated: whether the field is a list.
        required: whether the version wants at least one.
        most: how many the version allows; None: any number.
        opaque: whether it holds XML of the parties' own.
        plan: for its message, or for what a group holds; None for a string or a number.
    """

    name: str
    field: FieldDescriptor | None
    repeated: bool
    required: bool
    most: int | None
    opaque: bool
    plan: "Plan | None"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a message, or a group within one, becomes.

    Fields are known by their descriptors, which is how a message lists those that are set.

    Attributes:
        declarations: of the namespace, on the root from 4.0 on.
        text: the field with the element's own text; None for none.
        attributes: in the order of the table.
        children: in the order of the version's schema.
        unknown: the field with what no other field is for.
        content: the fields of which one has to be set; empty for none.
        fields: all of those above but `unknown`, and those in groups.
    """

    declarations: str
    text: FieldDescriptor | None
    attributes: tuple[AttributePlan, ...]
    children: tuple[ChildPlan, ...]
    unknown: FieldDescriptor
    content: frozenset[FieldDescriptor]
    fields: frozenset[FieldDescriptor]


@cache
def plan_of(version: Version) -> Plan:
    """The plan for a whole document."""
    return _plan(vast_pb2.Vast.DESCRIPTOR, VAST, version)


def _plan(descriptor: Descriptor, element: Element, version: Version) -> Plan:
    by_name = descriptor.fields_by_name
    attributes = tuple(
        (each.name, by_name[each.field], each.required[version])
        for each in element.attributes
        if version in each.required and each.type != "any"
    )
    order = element.order(version) or ()
    known = [each for each in element.children if version in each.counts]
    known.sort(key=lambda each: order.index(each.name) if each.name in order else len(order))
    children = tuple(_child(descriptor, each, version) for each in known)
    text = None
    if element.type not in {"container", "xml"}:
        text = by_name["url" if "url" in by_name else "value"]
    fields = {text, *(field for _, field, _ in attributes), *(each.field for each in children)}
    for child in children:
        if not child.field and child.plan:
            fields |= child.plan.fields
    content = descriptor.oneofs_by_name.get("content")
    return Plan(
        declarations=f' xmlns="{NAMESPACE}"' if element is VAST and version >= _NAMED else "",
        text=text,
        attributes=attributes,
        children=children,
        unknown=by_name["unknown"],
        content=frozenset(content.fields if content else ()),
        fields=frozenset(filter(None, fields)),
    )


_NAMED: Final = 40
"""The first version with a namespace."""


def _child(descriptor: Descriptor, element: Element, version: Version) -> ChildPlan:
    field = descriptor.fields_by_name[element.field] if element.field else None
    plan = None
    if field is None:
        plan = _plan(descriptor, element, version)
    elif element.type != "xml" and field.message_type:
        plan = _plan(field.message_type, element, version)
    return ChildPlan(
        name=element.name,
        field=field,
        repeated=field is not None and field.is_repeated,
        required=element.counts[version][0] > 0,
        most=element.most(version),
        opaque=element.type == "xml",
        plan=plan,
    )


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
