"""The walk through a document, with the rules about elements and attributes."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Final
from xml.etree.ElementTree import Element as Node

from xsp.vast.v1 import violations_pb2 as v
from xsp_server.vast.lint.rules import COMPANION, LINEAR, NON_LINEAR, VERIFICATION, events_of
from xsp_server.vast.lint.values import expected_instead
from xsp_server.vast.parse.fragments import KNOWN_PREFIXES, Scope, declarations_of, declares
from xsp_server.vast.schema import (
    NAMESPACE,
    VAST,
    VERSIONS,
    Attribute,
    Element,
    name_of,
    version_of,
)

_KINDS: Final = frozenset({LINEAR, NON_LINEAR, COMPANION})

ERROR: Final = v.VIOLATION_SEVERITY_ERROR
WARNING: Final = v.VIOLATION_SEVERITY_WARNING
NOTE: Final = v.VIOLATION_SEVERITY_NOTE


class Checker:
    """Checks one document."""

    def __init__(self, root: Node, lines: dict[Node, int]) -> None:
        """Takes the tree and the line of each of its elements."""
        self._root = root
        self._lines = lines
        self._found: list[v.Violation] = []
        self._version = version_of(root.get("version", "")) or VERSIONS[-1]
        self._name = f"VAST {name_of(self._version)}"

    def violations(self) -> list[v.Violation]:
        """Every deviation, in document order."""
        self._document()
        self._element(self._root, VAST, "VAST", dict(KNOWN_PREFIXES), "")
        self._found.sort(key=lambda violation: violation.line)
        return self._found

    def _document(self) -> None:
        """Rules about the document as a whole."""
        given = self._root.get("version")
        if given is None or version_of(given) is None:
            problem = "missing" if given is None else f"{given!r:.40} is no version of VAST"
            self._add(
                self._root,
                "VAST/@version",
                v.VIOLATION_RULE_VERSION,
                f"{problem}; expected 2.0 to 4.3",
            )
        scope = declarations_of(self._root)
        space = scope.get(self._root.tag.rpartition(":")[0], "")
        wanted = NAMESPACE if self._version >= 40 else ""
        if space != wanted:
            self._add(
                self._root,
                "VAST",
                v.VIOLATION_RULE_NAMESPACE,
                f"namespace {space!r:.100}; {self._name} has {wanted or 'none'!r}",
            )

    def _element(self, node: Node, known: Element, path: str, around: Scope, kind: str) -> None:
        """Checks an element that belongs where it stands, and all below it."""
        scope = around | declarations_of(node)
        if known.deprecated and self._version >= known.deprecated:
            self._add(node, path, v.VIOLATION_RULE_DEPRECATED, "deprecated", NOTE)
        self._attributes(node, known, path, scope)
        if known.type == "xml":
            return
        self._text(node, known, path)
        self._children(node, known, path, scope, kind)
        check = _RULES.get(known.name)
        if check:
            check(self, node, path, kind)

    def _text(self, node: Node, known: Element, path: str) -> None:
        text = "".join([node.text or "", *[below.tail or "" for below in node]]).strip()
        if known.type == "container":
            if text:
                problem = f"text {text!r:.60} where only elements belong"
                self._add(node, path, v.VIOLATION_RULE_ELEMENT_VALUE, problem)
        elif known.type == "anyURI" and not text:
            problem = "empty; expected a URL"
            self._add(node, path, v.VIOLATION_RULE_ELEMENT_VALUE, problem, WARNING)
        elif expected := expected_instead(known.type, text):
            problem = f"{text!r:.60}; expected {expected}"
            self._add(node, path, v.VIOLATION_RULE_ELEMENT_VALUE, problem)

    def _attributes(self, node: Node, known: Element, path: str, scope: Scope) -> None:
        present = set()
        for name, value in node.items():
            prefix, colon, _ = name.rpartition(":")
            if declares(name) or (colon and scope.get(prefix) in KNOWN_PREFIXES.values()):
                continue
            attribute = self._attribute(node, known, f"{path}/@{name}", name)
            if attribute:
                present.add(attribute.name)
                self._attribute_value(node, attribute, f"{path}/@{name}", value)
        for attribute in known.attributes:
            missing = attribute.required.get(self._version) and attribute.name not in present
            if missing and (known.name, attribute.name) != ("VAST", "version"):
                problem = f"missing; {self._name} requires it"
                where = f"{path}/@{attribute.name}"
                severity = WARNING if self._version in attribute.from_text else ERROR
                self._add(node, where, v.VIOLATION_RULE_ATTRIBUTE_MISSING, problem, severity)

    def _attribute(self, node: Node, known: Element, path: str, name: str) -> Attribute | None:
        """The attribute of the version that a name stands for; what is wrong with it is noted."""
        alike = [each for each in known.attributes if each.name.lower() == name.lower()]
        for attribute in alike:
            if self._version in attribute.required:
                if attribute.name != name:
                    self._add(
                        node,
                        path,
                        v.VIOLATION_RULE_ATTRIBUTE_SPELLING,
                        f"{self._name} spells it {attribute.name}",
                    )
                if attribute.deprecated and self._version >= attribute.deprecated:
                    self._add(node, path, v.VIOLATION_RULE_DEPRECATED, "deprecated", NOTE)
                return attribute
        anything = [each for each in known.attributes if each.name == "*"]
        # The content of extensions is of any type in 2.0, attributes with it.
        open_ = any(self._version in each.required for each in anything) or (
            known.type == "xml" and self._version == 20
        )
        if not open_:
            rule = v.VIOLATION_RULE_ATTRIBUTE_UNKNOWN
            problem = "VAST has no such attribute here"
            if elsewhere := [*alike, *anything]:
                rule = v.VIOLATION_RULE_ATTRIBUTE_NOT_IN_VERSION
                problem = f"not in {self._name}; {_versions(elsewhere[0].required)} has it"
            self._add(node, path, rule, problem)
        return None

    def _attribute_value(self, node: Node, attribute: Attribute, path: str, value: str) -> None:
        words = attribute.words.get(self._version, ())
        expected = expected_instead(attribute.type, value)
        if words and attribute.type == "model":
            expected = "" if value.lower() in words else f"one of {', '.join(words)}"
        elif words and attribute.name != "event":
            expected = "" if value in words else f"one of {', '.join(words)}"
        if expected:
            problem = f"{value!r:.60}; expected {expected}"
            self._add(node, path, v.VIOLATION_RULE_ATTRIBUTE_VALUE, problem)

    def _children(self, node: Node, known: Element, path: str, scope: Scope, kind: str) -> None:
        counts: Counter[str] = Counter()
        ranked: list[tuple[Node, str, str]] = []
        for child, name, inner in _numbered(node, path):
            entry = next((each for each in known.children if each.name == name), None)
            if entry is None or self._version not in entry.counts:
                self._stranger(child, name, known, entry, inner)
                continue
            counts[name] += 1
            most = entry.most(self._version)
            if most is not None and counts[name] > most:
                problem = f"{self._name} has at most {most}"
                self._add(child, inner, v.VIOLATION_RULE_ELEMENT_REPEATED, problem)
            self._namespace(child, inner, scope)
            ranked.append((child, name, inner))
            self._element(child, entry, inner, scope, name if name in _HOLDERS else kind)
        self._order(known, ranked)
        for entry in known.children:
            least = entry.counts.get(self._version, (0, None))[0]
            if least and not counts[entry.name]:
                problem = f"missing; {self._name} requires it"
                where = f"{path}/{entry.name}"
                self._add(node, where, v.VIOLATION_RULE_ELEMENT_MISSING, problem)

    def _stranger(
        self, node: Node, name: str, holder: Element, entry: Element | None, path: str
    ) -> None:
        """Says why an element doesn't belong where it stands."""
        alike = [
            each.name
            for each in holder.children
            if each.name.lower() == name.lower() and self._version in each.counts
        ]
        if entry is not None:
            rule = v.VIOLATION_RULE_ELEMENT_NOT_IN_VERSION
            problem = f"not in {self._name}; {_versions(entry.counts)} has it"
        elif alike:
            rule = v.VIOLATION_RULE_ELEMENT_SPELLING
            problem = f"{self._name} spells it {alike[0]}"
        elif name in _names():
            rule = v.VIOLATION_RULE_ELEMENT_MISPLACED
            problem = f"no version has it in {holder.name}"
        else:
            rule = v.VIOLATION_RULE_ELEMENT_UNKNOWN
            problem = "no version of VAST has such an element"
        self._add(node, path, rule, problem)

    def _namespace(self, node: Node, path: str, around: Scope) -> None:
        """An element that is VAST by its name, but of another namespace than the root."""
        prefix = node.tag.rpartition(":")[0]
        space = (around | declarations_of(node)).get(prefix, "")
        if space != (around | declarations_of(self._root)).get(
            self._root.tag.rpartition(":")[0], ""
        ):
            problem = f"namespace {space!r:.100}, which is not the root's"
            self._add(node, path, v.VIOLATION_RULE_NAMESPACE, problem)

    def _order(self, known: Element, ranked: list[tuple[Node, str, str]]) -> None:
        """The first element that stands behind one that belongs behind it."""
        order = known.order(self._version)
        if order is None:
            return
        last = -1
        for node, name, path in ranked:
            rank = order.index(name) if name in order else len(order)
            if rank < last:
                problem = f"{self._name} has it before {order[last] if last < len(order) else ''}"
                self._add(node, path, v.VIOLATION_RULE_ELEMENT_ORDER, problem)
                return
            last = rank

    def _root_rules(self, node: Node, path: str, _: str) -> None:
        """Ads or errors; sequences; serving ids."""
        ads = [(child, inner) for child, name, inner in _numbered(node, path) if name == "Ad"]
        errors = [(child, inner) for child, name, inner in _numbered(node, path) if name == "Error"]
        if ads and errors:
            problem = "an Error beside an Ad; it stands for there being no ad"
            self._add(errors[0][0], errors[0][1], v.VIOLATION_RULE_AD_AND_ERROR, problem)
        sequences: set[str] = set()
        serving_ids: set[str] = set()
        for ad, inner in ads:
            sequence = ad.get("sequence", "").strip()
            below = sequence.lstrip("+-").isdecimal() and int(sequence) < 1
            if below or (sequence and sequence in sequences):
                problem = f"{sequence:.20}; " + (
                    "expected 1 or more" if below else "another ad has it too"
                )
                where = f"{inner}/@sequence"
                self._add(ad, where, v.VIOLATION_RULE_AD_SEQUENCE, problem, WARNING)
            sequences.add(sequence)
            for serving_id, name, where in _below(ad, inner):
                text = (serving_id.text or "").strip()
                if name == "AdServingId" and text in serving_ids:
                    problem = "another ad has the same"
                    self._add(serving_id, where, v.VIOLATION_RULE_AD_SERVING_ID, problem, WARNING)
                elif name == "AdServingId":
                    serving_ids.add(text)

    def _ad_rules(self, node: Node, path: str, _: str) -> None:
        contents = [name for _, name, _ in _numbered(node, path) if name in {"InLine", "Wrapper"}]
        if len(contents) != 1:
            problem = f"{' and '.join(contents) or 'neither InLine nor Wrapper'}; expected one"
            self._add(node, path, v.VIOLATION_RULE_AD_CONTENT, problem)

    def _creative_rules(self, node: Node, path: str, _: str) -> None:
        kinds = [name for _, name, _ in _numbered(node, path) if name in _KINDS]
        if len(set(kinds)) > 1:
            problem = f"{' and '.join(kinds)}; expected one of them"
            severity = ERROR if self._version < 40 else WARNING
            self._add(node, path, v.VIOLATION_RULE_CREATIVE_CONTENT, problem, severity)

    def _tracking_rules(self, node: Node, path: str, kind: str) -> None:
        event = node.get("event")
        offset = node.get("offset")
        rule = v.VIOLATION_RULE_TRACKING_OFFSET
        where = f"{path}/@offset"
        if self._version >= 30:
            if event == "progress" and offset is None:
                self._add(node, where, rule, "missing; the event progress requires it", WARNING)
            elif offset is not None and (event != "progress" or kind != LINEAR):
                problem = "only the event progress of a Linear has it"
                self._add(node, where, rule, problem, WARNING)
        if event is None:
            return
        words = _event_words().get(self._version, ()) if kind in _KINDS else (event,)
        if event not in events_of(kind, self._version):
            known = event in words
            problem = f"{event!r:.60} is no event of {kind} in {self._name}"
            severity = WARNING if known else ERROR
            where = f"{path}/@event"
            self._add(node, where, v.VIOLATION_RULE_TRACKING_EVENT, problem, severity)

    def _add(
        self,
        node: Node,
        path: str,
        rule: "v.ViolationRule.ValueType",
        message: str,
        severity: "v.ViolationSeverity.ValueType" = ERROR,
    ) -> None:
        self._found.append(
            v.Violation(
                line=self._lines[node], path=path, rule=rule, message=message, severity=severity
            )
        )


_HOLDERS: Final = _KINDS | {VERIFICATION}

_RULES: Final = {
    "VAST": Checker._root_rules,  # noqa: SLF001
    "Ad": Checker._ad_rules,  # noqa: SLF001
    "Creative": Checker._creative_rules,  # noqa: SLF001
    "Tracking": Checker._tracking_rules,  # noqa: SLF001
}
"""Rules of single elements."""


def _numbered(node: Node, path: str) -> Iterator[tuple[Node, str, str]]:
    """The children with name and path; those that can be many are numbered."""
    totals = Counter(child.tag.rpartition(":")[2] for child in node)
    seen: Counter[str] = Counter()
    for child in node:
        name = child.tag.rpartition(":")[2]
        seen[name] += 1
        index = f"[{seen[name]}]" if totals[name] > 1 or name in _many() else ""
        yield child, name, f"{path}/{name}{index}"


def _below(node: Node, path: str) -> Iterator[tuple[Node, str, str]]:
    """The grandchildren."""
    for child, _, inner in _numbered(node, path):
        yield from _numbered(child, inner)


def _all(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _all(child)


@cache
def _names() -> frozenset[str]:
    """Names of all elements of VAST."""
    return frozenset(each.name for each in _all(VAST))


@cache
def _many() -> frozenset[str]:
    """Names of the elements that some version allows more than once."""
    return frozenset(
        each.name for each in _all(VAST) if any(most is None for _, most in each.counts.values())
    )


@cache
def _event_words() -> dict[int, tuple[str, ...]]:
    """The events that the schema of each version allows, whatever the creative."""
    tracking = next(each for each in _all(VAST) if each.name == "Tracking" and _words_of(each))
    return dict(_words_of(tracking))


def _words_of(tracking: Element) -> dict[int, tuple[str, ...]]:
    return dict(tracking.attributes[0].words)


def _versions(having: object) -> str:
    names = [name_of(version) for version in sorted(having)]  # type: ignore[call-overload]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
