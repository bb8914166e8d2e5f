"""From elements to the values of fields: dictionaries that protobuf makes messages of.

One dictionary of dictionaries for the whole document, handed to one constructor, costs a fraction
of what building message by message does. `_fill` takes most of a document's time after the XML
parser; so it is one loop, the commonest case first.
"""

from typing import Any, Final
from xml.etree.ElementTree import Element

from xsp_server.vast.limits import Limits
from xsp_server.vast.parse.fragments import Fragments, declares
from xsp_server.vast.parse.shapes import VAST_SHAPE, Glossary, Kind, Shape, read_int64

Values = dict[str, Any]
"""Fields of a message, as its constructor takes them."""

MESSAGES, MESSAGE, TEXTS, TEXT, GROUP, EXTENSION, NUMBER = map(int, Kind)


def values_of(root: Element, limits: Limits) -> Values:
    """The fields of a document.

    Raises:
        VastUnreadable: elements within each other beyond the limit.
    """
    fragments = Fragments(root, limits)
    values = _attributes(root, VAST_SHAPE, fragments) if root.keys() else {}
    _fill(values, root, VAST_SHAPE, "", fragments)
    for unknown in fragments.kept:
        unknown.sort(key=_order)
    return values


def _fill(  # noqa: C901, PLR0912, PLR0915  (one loop, as the module says)
    values: Values, element: Element, shape: Shape, path: str, fragments: Fragments
) -> None:
    """Puts what stands in an element into the fields of its message.

    `path` is that of an element without a message, whose children go to the message around it.
    """
    children = shape.children
    before, kind, field, inner, rival = "", GROUP, "", shape, ""
    for each in element:
        tag = each.tag
        if tag != before:  # elements of one name mostly follow each other
            child = children.get(tag)
            if child is None:
                tag = tag.rpartition(":")[2]
                child = children.get(tag)
                if child is None:
                    _keep(values, path, {"xml": fragments.element(each)}, fragments)
                    continue
            before = tag
            kind, field, inner, rival = child
        if kind <= MESSAGE:
            if kind == MESSAGE and (field in values or rival in values):
                _keep(values, path, {"xml": fragments.element(each)}, fragments)
                continue
            attributes = each.attrib
            if inner.plain.issuperset(attributes):
                held: Values = attributes  # nobody else's from here
            else:
                held = _attributes(each, inner, fragments)
            if not inner.text:
                _fill(held, each, inner, "", fragments)
            elif len(each):
                held[inner.text] = _own_text(each)
                _fill(held, each, inner, "", fragments)
            else:
                text = each.text
                held[inner.text] = text.strip() if text else ""
            if kind == MESSAGE:
                values[field] = held
            elif field in values:
                values[field].append(held)
            else:
                values[field] = [held]
        elif kind == GROUP:
            if each.attrib:
                _keep_attributes(values, each, tag, fragments)
            _fill(values, each, inner, tag, fragments)
        elif kind == TEXTS:
            texts = values.setdefault(field, [])
            texts.append(_text(each))
            if each.attrib or len(each):
                index = len(texts)
                _leftovers(values, each, tag if index == 1 else f"{tag}[{index}]", fragments)
        elif kind == EXTENSION:
            values.setdefault(field, []).append(_extension(each, fragments))
        else:
            value = None if field in values else _text(each) if kind == TEXT else _number(each)
            if value is None:
                _keep(values, path, {"xml": fragments.element(each)}, fragments)
            else:
                values[field] = value
                if each.attrib or len(each):
                    _leftovers(values, each, tag, fragments)


def _attributes(element: Element, shape: Shape, fragments: Fragments) -> Values:
    """The fields of a message that its attributes give."""
    values: Values = {}
    known = shape.attributes
    for name, value in element.items():
        if name == "xmlns":  # no content
            continue
        field, glossary = known.get(name, _NO_FIELD)
        if not field or field in values:
            _other_attribute(values, element, shape, name, fragments)
        elif glossary is None:
            values[field] = value
        elif value in glossary:
            values[field] = glossary[value]
        else:
            _other_attribute(values, element, shape, name, fragments)
    return values


_NO_FIELD: Final[tuple[str, Glossary | None]] = ("", None)


def _other_attribute(
    values: Values, element: Element, shape: Shape, name: str, fragments: Fragments
) -> None:
    """An attribute in another spelling, with a value that isn't read at a glance, or unknown."""
    value = element.attrib[name]
    field, read = shape.folded.get(fragments.name_of(element, name).lower(), ("", None))
    typed = read(value) if read else value
    if not field or field in values or typed is None:
        _keep_attribute(values, element, name, "", fragments)
    else:
        values[field] = typed


def _text(element: Element) -> str:
    """The text of an element, trimmed."""
    return _own_text(element) if len(element) else (element.text or "").strip()


def _own_text(element: Element) -> str:
    """Text around child elements that don't belong there."""
    return "".join([element.text or "", *[each.tail or "" for each in element]]).strip()


def _number(element: Element) -> int | None:
    return read_int64(_text(element))


def _extension(element: Element, fragments: Fragments) -> Values:
    values: Values = {"xml": fragments.inside(element)}
    for name, value in element.items():
        if "type" not in values and fragments.name_of(element, name) == "type":
            values["type"] = value
        elif not declares(name):
            content = fragments.attribute(element, name, value)
            values.setdefault("attributes", []).append(content)
    return values


def _leftovers(values: Values, element: Element, path: str, fragments: Fragments) -> None:
    """What stands on and in an element that is a mere string."""
    _keep_attributes(values, element, path, fragments)
    for each in element:
        _keep(values, path, {"xml": fragments.element(each)}, fragments)


def _keep_attributes(values: Values, element: Element, path: str, fragments: Fragments) -> None:
    for name in element.keys():  # noqa: SIM118  (an element is no dictionary)
        _keep_attribute(values, element, name, path, fragments)


def _keep_attribute(
    values: Values, element: Element, name: str, path: str, fragments: Fragments
) -> None:
    if not declares(name):
        content = fragments.attribute(element, name, element.attrib[name])
        _keep(values, path, {"attribute": content}, fragments)


def _keep(values: Values, path: str, content: Values, fragments: Fragments) -> None:
    """Puts what no field is for into `unknown`."""
    if path:
        content["path"] = path
    if "unknown" not in values:
        values["unknown"] = []
        fragments.kept.append(values["unknown"])
    values["unknown"].append(content)


def _order(content: Values) -> tuple[str, bool]:
    """By place, attributes first: as a document gives them that is written from the message."""
    return content.get("path", ""), "xml" in content
