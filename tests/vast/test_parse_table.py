"""The table of elements is the facts, both ways; and all that it names has a place in the model."""

import json

from vast.documents import ROOT, every_element
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.parse.shapes import VAST_SHAPE
from xsp_server.vast.schema import DEEPEST, VAST, VERSIONS, name_of, version_of

FACTS = json.loads((ROOT / "tests/data/vast_elements.json").read_text("utf-8"))

BESIDE_THE_FACTS = {
    ("VAST/Ad/InLine/AdVerifications/Verification/ExecutableResource", "language"),
    ("VAST/Ad/Wrapper/AdVerifications/Verification/ExecutableResource", "language"),
    ("VAST/Ad/InLine/Creatives/Creative/Linear/Icons/Icon", "regs"),
    ("VAST/Ad/Wrapper/Creatives/Creative/Linear/Icons/Icon", "regs"),
}
"""Attributes of a text's table or of the CTV addendum, which the list of elements lacks."""


def ours():
    """The table as the facts are written, but for what the facts lack."""
    table = {}
    for path, element in every_element():
        if "NonLinear/TrackingEvents" in path:
            assert element.from_text
            continue
        table[path] = {
            "cardinality": {
                name_of(version): f"{least}..{'*' if most is None else most}"
                for version, (least, most) in element.counts.items()
            },
            "attributes": {
                each.name: {
                    "required": {name_of(v): wanted for v, wanted in each.required.items()},
                    "enum": {name_of(v): sorted(words) for v, words in each.words.items()},
                    "type": GROUPS.get(each.type, each.type),
                }
                for each in element.attributes
                if (path, each.name) not in BESIDE_THE_FACTS
            },
        }
    return table


GROUPS = {
    "word": "token",
    "model": "token",
    "offset": "string",
    "currency": "string",
    "x position": "string",
    "y position": "string",
}
"""The facts' name of a type; a pattern stands beside it there."""


def facts():
    return {
        each["path"]: {
            "cardinality": spread(each["cardinality"], each["versions"]),
            "attributes": {
                name: {
                    "required": spread(known["required"], known["versions"]),
                    "enum": {
                        version: sorted(words)
                        for version, words in spread(known["enum"], known["versions"]).items()
                    }
                    if "enum" in known
                    else {},
                    "type": "token" if "enum" in known else known["type"],
                }
                for name, known in each.get("attributes", {}).items()
            },
        }
        for each in FACTS["elements"]
    }


def spread(value, versions):
    """A value that holds for all versions, or one for each."""
    return {version: value[version] if isinstance(value, dict) else value for version in versions}


def test_the_table_is_the_facts_both_ways():
    assert ours() == facts()


def test_the_types_of_texts_are_those_of_the_facts():
    kinds = {each["path"]: each["type"] for each in FACTS["elements"]}
    for path, element in every_element():
        if path in kinds:
            given = kinds[path]
            given = given["4.2"] if isinstance(given, dict) else given
            assert element.type == {"any-xml": "xml"}.get(given, given), path


def test_every_field_of_the_model_is_read_from_somewhere():
    reached = {}

    def note(descriptor, shape):
        if descriptor.name in reached:
            return
        fields = reached[descriptor.name] = {"unknown"}
        fields.update(field for field, _ in shape.attributes.values())
        fields.add(shape.text)
        below(descriptor, shape, fields)

    def below(descriptor, shape, fields):
        for child in shape.children.values():
            if not child.field:
                below(descriptor, child.shape, fields)
                continue
            fields.add(child.field)
            message = descriptor.fields_by_name[child.field].message_type
            if message and message.name != "Extension":
                note(message, child.shape)

    note(vast_pb2.Vast.DESCRIPTOR, VAST_SHAPE)
    for name, fields in reached.items():
        message = vast_pb2.DESCRIPTOR.message_types_by_name[name]
        assert set(message.fields_by_name) == fields - {""}, name
    opaque = {"Extension", "XmlAttribute", "UnknownContent"}
    assert reached.keys() | opaque == set(vast_pb2.DESCRIPTOR.message_types_by_name)


def test_versions_are_those_of_the_contract():
    assert {*VERSIONS, 0} == set(lists.VastVersion.values())
    assert [version_of(name_of(version)) for version in VERSIONS] == list(VERSIONS)
    assert version_of("2.0.1") == 20
    assert [version_of(text) for text in ("", "1.0", "4.4", "4", "42", "x")] == [None] * 6


def test_orders_name_every_child_of_their_versions():
    for path, element in every_element():
        for version in element.counts:
            order = element.order(version)
            known = {each.name for each in element.children if version in each.counts}
            assert order is None or known <= set(order), (path, version)


def test_the_deepest_place_is_a_fallback_image():
    assert DEEPEST == 12 == max(path.count("/") + 1 for path, _ in every_element())
    assert VAST.name == "VAST"
