"""From tables of facts about fields to plans by which messages are walked, each once.

`compile_plans` reads the tables at import. `inspect` walks a message: it asks for the fields that
are there (`ListFields`; one by one where only a few matter), tests each, and gathers one bit for
every field whose presence a rule asks about. Those bits together select what remains to be done,
worked out the first time that a combination is met: required fields that are missing, fields that
exclude each other, and the checks that look at several fields.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from xsp_server.openrtb.validation.facts import (
    Deprecated,
    Excludes,
    Fact,
    Facts,
    Holds,
    Needs,
    Required,
    UniqueIds,
)
from xsp_server.openrtb.validation.findings import NO_INDEX, Findings, Place, shown
from xsp_server.openrtb.validation.result import Rule, Severity, define

FieldCheck: TypeAlias = Callable[[Any, Place, Findings], None]
"""Judges the value of one field that is present; the place is its object's."""
FieldTest: TypeAlias = Callable[[Any], object]
"""Whether a value is right, so that its check would find nothing. Most are, and need no more."""
ObjectCheck: TypeAlias = Callable[[Any, Place, Findings], None]
"""Judges one object; the place is its own."""

_REMEMBERED: Final = 256
"""Combinations of present fields that a plan remembers; rarer ones are worked out each time."""
_FEW: Final = 4
"""Fields that matter, up to which to ask for each takes less time than to list all fields."""


Everywhere = tuple[FieldCheck, FieldTest]
"""The check of a field, and the test that spares it."""

_NOTHING: Final[Mapping[str, Everywhere]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Across:
    """A check that looks at several fields of an object, or at several objects below it.

    Attributes:
        message: the object's class.
        when: the fields that must be present for the check to run.
        check: what it does.
    """

    message: type[Message]
    when: tuple[str, ...]
    check: ObjectCheck


class Plan:
    """How objects of one type are walked."""

    __slots__ = ("_acts", "_bits", "_presence", "entries", "few", "remembered")

    def __init__(self, descriptor: Descriptor) -> None:
        self._bits = {f.name: 1 << i for i, f in enumerate(descriptor.fields)}
        # Pairs of a test on the present bits and what to do when it holds.
        self._acts: list[tuple[Callable[[int], bool], ObjectCheck]] = []
        # Bits that those tests look at; fields outside of them count for nothing.
        self._presence = 0
        # What is to be done, by the bits that are there; see `acts_on`.
        self.remembered: dict[int, tuple[ObjectCheck, ...]] = {}
        # For each field its bit (0 while no test looks at it), its test and its check.
        self.entries: dict[FieldDescriptor, tuple[int, FieldTest | None, FieldCheck | None]] = {}
        self.entries |= dict.fromkeys(descriptor.fields, (0, None, None))
        # Where they are few, the fields that matter, in their order: name, whether it is a list,
        # and the entry. None: they are many.
        self.few: list[tuple[str, bool, int, FieldTest | None, FieldCheck | None]] | None = []

    def across(self, when: Iterable[str], check: ObjectCheck) -> None:
        """Adds a check that runs on objects in which all of the named fields are present."""
        mask = self.mask(when)
        self.on_presence(mask, lambda present: present & mask == mask, check)

    def on_presence(self, mask: int, test: Callable[[int], bool], act: ObjectCheck) -> None:
        """Adds what is done when a test on the bits of `mask` holds."""
        self._acts.append((test, act))
        self._presence |= mask
        self.remembered.clear()
        for descriptor, (_, right, check) in self.entries.items():
            bit = self._bits[descriptor.name] & self._presence
            self.entries[descriptor] = (bit, right, check)
        self._pick_few()

    def on_field(
        self, descriptor: FieldDescriptor, check: FieldCheck, right: FieldTest | None = None
    ) -> None:
        """Adds a check of one field, after those that it has.

        Args:
            descriptor: the field.
            check: judges its value.
            right: whether the check need not run; None: it always does.
        """
        bit, first_right, first = self.entries[descriptor]
        if first is not None:
            check, right = _both(first, check), _both_right(first_right, right)
        self.entries[descriptor] = (bit, right, check)
        self._pick_few()

    def _pick_few(self) -> None:
        matter = [
            (descriptor.name, bool(descriptor.is_repeated), *entry)
            for descriptor, entry in self.entries.items()
            if entry[0] or entry[2]
        ]
        self.few = matter if len(matter) <= _FEW else None

    def mask(self, names: Iterable[str]) -> int:
        """The bits of the named fields."""
        return sum(self._bits[name] for name in names)

    def acts_on(self, present: int) -> tuple[ObjectCheck, ...]:
        """What is to be done about an object in which these fields are present."""
        acts = self.remembered.get(present)
        if acts is None:
            acts = tuple(act for test, act in self._acts if test(present))
            if len(self.remembered) < _REMEMBERED:
                self.remembered[present] = acts
        return acts


def _both(first: FieldCheck, second: FieldCheck) -> FieldCheck:
    def check(value: Any, place: Place, findings: Findings) -> None:
        first(value, place, findings)
        second(value, place, findings)

    return check


def _both_right(first: FieldTest | None, second: FieldTest | None) -> FieldTest | None:
    if first is None or second is None:
        return None
    return lambda value: first(value) and second(value)


def inspect(plan: Plan, message: Message, place: Place, findings: Findings) -> None:
    """Reports what is wrong with a message and with everything in it."""
    present = 0
    if plan.few is None:
        entries = plan.entries
        for descriptor, value in message.ListFields():
            bit, right, check = entries[descriptor]
            present |= bit
            if check is not None and (right is None or not right(value)):
                check(value, place, findings)
    else:
        for name, is_list, bit, right, check in plan.few:
            if is_list:
                value = getattr(message, name)
                if not value:
                    continue
            elif message.HasField(name):
                value = getattr(message, name)
            else:
                continue
            present |= bit
            if check is not None and (right is None or not right(value)):
                check(value, place, findings)
    acts = plan.remembered.get(present)
    for act in plan.acts_on(present) if acts is None else acts:
        act(message, place, findings)


def compile_plans(
    tables: Sequence[Facts], everywhere: Mapping[str, Everywhere] = _NOTHING
) -> dict[type[Message], Plan]:
    """One plan for each table, with the objects below it linked in.

    Args:
        tables: what is known about objects.
        everywhere: what is known about the fields of a name, in whatever object.
    """
    plans = {facts.message: Plan(_descriptor(facts.message)) for facts in tables}
    for message, plan in plans.items():
        _check_names(_descriptor(message), plan, everywhere)
    links = _Links({_descriptor(message): plan for message, plan in plans.items()}, everywhere)
    for facts in tables:
        _compile(facts, plans[facts.message], links)
    return plans


def _check_names(descriptor: Descriptor, plan: Plan, everywhere: Mapping[str, Everywhere]) -> bool:
    """Adds the checks of fields by name; whether there was one."""
    found = [field for field in descriptor.fields if field.name in everywhere]
    for field in found:
        plan.on_field(field, *everywhere[field.name])
    return bool(found)


def _descriptor(message: type[Message]) -> Descriptor:
    return cast("Descriptor", message.DESCRIPTOR)


class _Links:
    """Finds the plan of a nested object. Objects without facts, own or below, have none."""

    def __init__(self, plans: dict[Descriptor, Plan], everywhere: Mapping[str, Everywhere]) -> None:
        self._plans = plans
        self._everywhere = everywhere
        self._visited: set[Descriptor] = set()

    def plan_of(self, descriptor: Descriptor) -> Plan | None:
        if descriptor not in self._plans and descriptor not in self._visited:
            self._visited.add(descriptor)  # before its fields: some objects hold themselves
            plan = Plan(descriptor)
            named = _check_names(descriptor, plan, self._everywhere)
            if named or any(self.nested(f) for f in descriptor.fields):
                self._plans[descriptor] = plan
                for f in descriptor.fields:
                    self.link(plan, f)
        return self._plans.get(descriptor)

    def nested(self, field: FieldDescriptor) -> Plan | None:
        return None if field.message_type is None else self.plan_of(field.message_type)

    def link(self, plan: Plan, field: FieldDescriptor) -> None:
        """Lets a plan go down into the objects of a field."""
        nested = self.nested(field)
        if nested is not None:
            plan.on_field(field, _descend(nested, field))


def _descend(plan: Plan, descriptor: FieldDescriptor) -> FieldCheck:
    name = descriptor.name

    def check(value: Message, place: Place, findings: Findings) -> None:
        inspect(plan, value, (place, name, NO_INDEX), findings)

    def check_each(values: Iterable[Message], place: Place, findings: Findings) -> None:
        for index, value in enumerate(values):
            inspect(plan, value, (place, name, index), findings)

    return check_each if descriptor.is_repeated else check


def _compile(facts: Facts, plan: Plan, links: _Links) -> None:
    """Turns the facts of one object into the checks of its plan."""
    fields = _descriptor(facts.message).fields
    for descriptor in fields:
        links.link(plan, descriptor)
        for fact in facts.fields.get(descriptor.name, ()):
            _COMPILERS[type(fact)](facts, descriptor, fact, plan)
    for group in facts.one_of:
        mask = plan.mask(group.fields)
        rule = define(
            f"{facts.name}.{group.what}",
            group.at,
            f"one of {', '.join(group.fields)}",
            facts.source,
            group.severity,
        )
        plan.on_presence(mask, _none_of(mask), _absent(rule))
    unknown = facts.fields.keys() - {f.name for f in fields}
    if unknown:
        raise ValueError(f"{facts.name} has no field {', '.join(sorted(unknown))}")


def _none_of(mask: int) -> Callable[[int], bool]:
    return lambda present: not present & mask


def _absent(rule: Rule) -> ObjectCheck:
    def act(_message: Message, place: Place, findings: Findings) -> None:
        findings.report(rule, place, "nothing")

    return act


def _required(facts: Facts, descriptor: FieldDescriptor, fact: Required, plan: Plan) -> None:
    name = descriptor.name
    rule = define(
        f"{facts.name}.{name}.required",
        name,
        "at least one item" if descriptor.is_repeated else "a value",
        facts.source,
        fact.severity,
    )
    mask = plan.mask((name,))
    plan.on_presence(mask, _none_of(mask), _absent(rule))
    formatted = any(isinstance(f, Holds) and f.what == "format" for f in facts.fields[name])
    if descriptor.type == FieldDescriptor.TYPE_STRING and not (descriptor.is_repeated or formatted):

        def check(value: str, place: Place, findings: Findings) -> None:
            if not value:
                findings.report(rule, place, shown(value))

        plan.on_field(descriptor, check, bool)


def _holds(facts: Facts, descriptor: FieldDescriptor, fact: Holds, plan: Plan) -> None:
    test = fact.test
    rule = define(
        f"{facts.name}.{descriptor.name}.{fact.what}",
        descriptor.name,
        fact.expected,
        facts.source,
        fact.severity,
    )

    def check(value: Any, place: Place, findings: Findings) -> None:
        if not test(value):
            findings.report(rule, place, shown(value))

    def check_each(values: Iterable[Any], place: Place, findings: Findings) -> None:
        for index, value in enumerate(values):
            if not test(value):
                findings.report(rule, place, shown(value), index=index)

    if descriptor.is_repeated:
        plan.on_field(descriptor, check_each)
    else:
        plan.on_field(descriptor, check, test)


def _excludes(facts: Facts, descriptor: FieldDescriptor, fact: Excludes, plan: Plan) -> None:
    others = plan.mask(fact.others)
    own = plan.mask((descriptor.name,))
    rule = define(
        f"{facts.name}.{descriptor.name}.exclusive",
        descriptor.name,
        f"not together with {' or '.join(fact.others)}",
        facts.source,
    )

    def act(_message: Message, place: Place, findings: Findings) -> None:
        findings.report(rule, place, f"{descriptor.name} together with {' or '.join(fact.others)}")

    plan.on_presence(own | others, lambda present: bool(present & own and present & others), act)


def _needs(facts: Facts, descriptor: FieldDescriptor, fact: Needs, plan: Plan) -> None:
    others = plan.mask(fact.others)
    own = plan.mask((descriptor.name,))
    rule = define(
        f"{facts.name}.{fact.others[0]}.with-{descriptor.name}",
        fact.others[0],
        f"{' or '.join(fact.others)} along with {descriptor.name}",
        facts.source,
        fact.severity,
    )
    plan.on_presence(
        own | others, lambda present: bool(present & own and not present & others), _absent(rule)
    )


def _deprecated(facts: Facts, descriptor: FieldDescriptor, fact: Deprecated, plan: Plan) -> None:
    rule = define(
        f"{facts.name}.{descriptor.name}.deprecated",
        descriptor.name,
        f"{fact.instead} instead" if fact.instead else "nothing: the field is deprecated",
        facts.source,
        Severity.WARNING,
    )

    def check(_value: Any, place: Place, findings: Findings) -> None:
        findings.report(rule, place, f"deprecated {descriptor.name}")

    plan.on_field(descriptor, check)


def repeated(ids: Iterable[str | int | None]) -> Iterator[int]:
    """Where ids stand that were there before. Absent and empty ones are another rule's business."""
    seen: set[str | int] = set()
    for index, value in enumerate(ids):
        if value in seen:
            yield index
        elif value is not None and value != "":
            seen.add(value)


def _unique_ids(facts: Facts, descriptor: FieldDescriptor, _fact: UniqueIds, plan: Plan) -> None:
    name = descriptor.name
    rule = define(
        f"{facts.name}.{name}.unique",
        "id",
        f"an id that no other item of {name} has",
        facts.source,
    )

    def check(items: Any, place: Place, findings: Findings) -> None:
        if len(items) > 1:
            ids = [item.id if item.HasField("id") else None for item in items]
            for index in repeated(ids):
                findings.report(rule, (place, name, index), shown(ids[index]))

    plan.on_field(descriptor, check)


_COMPILERS: Final[dict[type[Fact], Callable[[Facts, FieldDescriptor, Any, Plan], None]]] = {
    Required: _required,
    Holds: _holds,
    Excludes: _excludes,
    Needs: _needs,
    Deprecated: _deprecated,
    UniqueIds: _unique_ids,
}
