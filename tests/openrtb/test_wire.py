"""The contract is IAB's on the wire, field by field.

IAB's side is a table of facts about its protos (tests/data); nothing of IAB's is compiled. What
the table has and proto3 can't say is left out: extension ranges of the `Ext` messages, which
proto3 files don't declare, and enums that no field uses, as IAB's OpenRTB fields are all int32.
"""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from com.iabtechlab.bidstream.mutation.services.v1 import agentic_rtb_framework_service_pb2
from com.iabtechlab.bidstream.mutation.v1 import agentic_rtb_framework_pb2
from openrtb.wire_table import ARTF, OPENRTB, theirs
from xsp.openrtb.v2 import bid_request_pb2, bid_response_pb2, transparency_pb2

SPEC = json.loads((Path(__file__).parent.parent / "data" / "openrtb_2_6_fields.json").read_bytes())

OWN = {
    "BidRequest.Content": {"realtime": 15001, "firstbroadcast": 15002},
    "BidRequest.Data": {"cids": 15001},
}
"""Fields of the specification that IAB's proto lacks. Besides, every Ext has `raw_json`."""
RAW_JSON = {"raw_json": 15000}

PACKAGES = {"xsp.openrtb.v2": OPENRTB["package"]}


def messages_in(*files) -> dict[str, Descriptor]:
    """Every message by its name within its package, but for the entries of maps."""
    found = {}

    def collect(descriptor, name):
        if not descriptor.GetOptions().map_entry:
            found[name] = descriptor
            for inner in descriptor.nested_types:
                collect(inner, f"{name}.{inner.name}")

    for file in files:
        for name, descriptor in file.DESCRIPTOR.message_types_by_name.items():
            collect(descriptor, name)
    return found


OURS = messages_in(bid_request_pb2, bid_response_pb2, transparency_pb2)
OUR_ARTF = messages_in(agentic_rtb_framework_pb2)
ALL = [(OURS, OPENRTB, name) for name in sorted(OPENRTB["messages"])] + [
    (OUR_ARTF, ARTF, name) for name in sorted(ARTF["messages"])
]
each_message = pytest.mark.parametrize(
    ("ours", "table", "name"), ALL, ids=lambda value: value if isinstance(value, str) else ""
)


def own_fields(name: str) -> dict[str, int]:
    return OWN.get(name, {}) | (RAW_JSON if name.rpartition(".")[2] == "Ext" else {})


def type_name(field: FieldDescriptor) -> str:
    """The type as the table names it."""
    named = field.message_type or field.enum_type
    if named is None:
        names = {number: name for name, number in SCALARS.items()}
        return names[field.type]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (type_name(part) for part in field.message_type.fields)
        return f"map<{key},{value}>"
    package = named.file.package
    name = named.full_name.removeprefix(f"{package}.")
    if package == field.file.package:
        return name
    return f"{PACKAGES.get(package, package)}.{name}"


SCALARS = {
    name: getattr(FieldDescriptor, f"TYPE_{name.upper()}")
    for name in ("bool", "double", "int32", "string")
}


def label(field: FieldDescriptor) -> str:
    if type_name(field).startswith("map<"):
        return "map"
    if field.is_repeated:
        return "repeated"
    oneof = field.containing_oneof
    # protoc keeps presence of a lone optional as a oneof of one, named with an underscore.
    if oneof is not None and oneof.name != f"_{field.name}":
        return "oneof"
    assert field.has_presence
    return "optional"


def wire_type(field: FieldDescriptor) -> int:
    if field.is_repeated or field.message_type is not None:
        return 2
    return {"string": 2, "double": 1}.get(type_name(field), 0)


def facts_of(field: FieldDescriptor) -> dict[str, Any]:
    """A field as the table has it."""
    facts = {
        "label": label(field),
        "number": field.number,
        "type": type_name(field),
        "wire_type": wire_type(field),
    }
    if facts["label"] == "oneof":
        facts["oneof"] = field.containing_oneof.name
    if field.is_packed:
        facts["packed"] = True
    if field.enum_type is not None:
        facts["enum"] = True
    if field.GetOptions().deprecated:
        facts["deprecated"] = True
    if field.json_name != field.name:
        facts["protojson_name"] = field.json_name
    return facts


def test_the_table_is_whole():
    assert len(OPENRTB["messages"]) == 125
    assert len(ARTF["messages"]) == 12
    assert sum(len(message["fields"]) for message in OPENRTB["messages"].values()) == 591


@pytest.mark.parametrize(("ours", "table"), [(OURS, OPENRTB), (OUR_ARTF, ARTF)])
def test_the_messages_are_iabs_and_no_others(ours, table):
    assert sorted(ours) == sorted(table["messages"])


@each_message
def test_the_fields_of_a_message_are_iabs_and_our_own(ours, table, name):
    own = own_fields(name)
    fields = {field.name: field for field in ours[name].fields}
    assert {field: fields.pop(field).number for field in own} == own
    not_wire = {"default", "spec_flag"}  # for readers: they never travel
    expected = {
        field: {key: value for key, value in facts.items() if key not in not_wire}
        for field, facts in table["messages"][name]["fields"].items()
    }
    assert {field.name: facts_of(field) for field in fields.values()} == expected


def ranges(reserved: list[int | str]) -> set[tuple[int, int]]:
    """First and last number of every reserved range of the table."""
    return {
        (int(first), int(last or first))
        for first, last in (
            re.fullmatch(r"(\d+)(?:-(\d+))?", str(each)).groups() for each in reserved
        )
    }


@each_message
def test_the_reserved_numbers_of_a_message_are_iabs(ours, table, name):
    proto = DescriptorProto()
    ours[name].CopyToProto(proto)
    reserved = {(each.start, each.end - 1) for each in proto.reserved_range}
    assert reserved == ranges(table["messages"][name].get("reserved_numbers", []))


def test_own_numbers_are_beyond_iabs_blocks_and_documented():
    taken = [int(block.split("-")[1]) for block in OPENRTB["extension_blocks"]]
    numbers = {number for fields in OWN.values() for number in fields.values()} | {15000}
    assert min(numbers) > max(taken)
    contract = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
    assert all(str(number) in contract for number in numbers)


def test_artf_enums_are_iabs():
    for name, facts in ARTF["enums"].items():
        scope, _, last = name.rpartition(".")
        owner = OUR_ARTF[scope] if scope else agentic_rtb_framework_pb2.DESCRIPTOR
        enum = owner.enum_types_by_name[last]
        assert {value.name: value.number for value in enum.values} == facts["values"], name
        proto = EnumDescriptorProto()
        enum.CopyToProto(proto)
        reserved = [[each.start, each.end] for each in proto.reserved_range]
        assert reserved == facts.get("reserved", []), name


def test_the_artf_service_is_iabs():
    services = agentic_rtb_framework_service_pb2.DESCRIPTOR.services_by_name
    methods = {
        f"/{service.full_name}/{method.name}": {
            "request": method.input_type.full_name,
            "response": method.output_type.full_name,
            "client_streaming": method.client_streaming,
            "server_streaming": method.server_streaming,
        }
        for service in services.values()
        for method in service.methods
    }
    assert methods == ARTF["services"]


# -- bytes


def filled(message: Message, chance: random.Random) -> Message:
    """Sets about half of the fields, at every depth, to anything."""
    seen = set()
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if chance.random() < 0.5 or (oneof and oneof.name in seen):
            continue
        if oneof:
            seen.add(oneof.name)
        if label(field) == "map":
            for _ in range(chance.randint(0, 2)):
                getattr(message, field.name)[str(chance.random())] = chance.random()
        elif field.message_type is not None:
            _fill_messages(message, field, chance)
        elif field.is_repeated:
            getattr(message, field.name).extend(scalar(field, chance) for _ in range(3))
        else:
            setattr(message, field.name, scalar(field, chance))
    return message


def _fill_messages(message: Message, field: FieldDescriptor, chance: random.Random) -> None:
    value = getattr(message, field.name)
    if field.is_repeated:
        for _ in range(chance.randint(0, 2)):
            filled(value.add(), chance)
        return
    value.SetInParent()
    if field.message_type.full_name == "google.protobuf.Value":
        value.struct_value["a"] = [None, True, chance.random(), "x"]
    else:
        filled(value, chance)


def scalar(field: FieldDescriptor, chance: random.Random) -> Any:
    if field.enum_type is not None:
        return chance.choice([value.number for value in field.enum_type.values])
    return {
        "bool": lambda: chance.random() < 0.5,
        "double": lambda: chance.choice([0.0, -1.5, chance.random() * 1e9]),
        "int32": lambda: chance.choice([0, -1, 2**31 - 1, chance.randint(0, 999)]),
        "string": lambda: chance.choice(["", "é", str(chance.random())]),
    }[type_name(field)]()


def without_own_fields(message: Message) -> Message:
    for field, value in message.ListFields():
        if field.number >= 15000:
            message.ClearField(field.name)
        elif field.message_type is not None and label(field) != "map":
            if field.message_type.file.package.startswith("google"):
                continue
            for each in value if field.is_repeated else [value]:
                without_own_fields(each)
    return message


ROOTS = [
    (OURS, OPENRTB, "BidRequest"),
    (OURS, OPENRTB, "BidResponse"),
    (OURS, OPENRTB, "NativeRequest"),
    (OURS, OPENRTB, "NativeResponse"),
    (OUR_ARTF, ARTF, "RTBRequest"),
    (OUR_ARTF, ARTF, "RTBResponse"),
]
each_root = pytest.mark.parametrize(
    ("ours", "table", "name"), ROOTS, ids=lambda value: value if isinstance(value, str) else ""
)


def classes(ours, table, name):
    return GetMessageClass(ours[name]), theirs(table["package"], name)


@each_root
@pytest.mark.parametrize("seed", range(10))
def test_random_messages_survive_a_trip_through_iabs_schema(ours, table, name, seed):
    our_type, their_type = classes(ours, table, name)
    message = filled(our_type(), random.Random(seed))
    through = their_type.FromString(message.SerializeToString())
    assert our_type.FromString(through.SerializeToString()) == message


@each_root
@pytest.mark.parametrize("seed", range(10))
def test_iabs_schema_reads_in_random_messages_what_ours_does(ours, table, name, seed):
    our_type, their_type = classes(ours, table, name)
    message = without_own_fields(filled(our_type(), random.Random(seed)))
    read = their_type.FromString(message.SerializeToString())
    assert len(UnknownFieldSet(read)) == 0
    assert json_format.MessageToDict(read) == json_format.MessageToDict(message)


@each_root
@pytest.mark.parametrize("seed", range(10))
def test_ours_reads_in_iabs_random_messages_what_iabs_schema_does(ours, table, name, seed):
    our_type, their_type = classes(ours, table, name)
    message = filled(their_type(), random.Random(seed))
    read = our_type.FromString(message.SerializeToString())
    assert len(UnknownFieldSet(read)) == 0
    assert json_format.MessageToDict(read) == json_format.MessageToDict(message)


# -- the specification

ELSEWHERE = {"DOOH": "Dooh"}
"""Objects whose message is spelt another way."""
INT32_FLAGS = {("Deal", "guar")}
"""Flags that IAB's proto has as int32."""


def message_of(spec_object: str) -> Descriptor:
    last = ELSEWHERE.get(spec_object, spec_object)
    (found,) = (
        descriptor
        for name, descriptor in OURS.items()
        if name.rpartition(".")[2] == last and not name.startswith("Native")
    )
    return found


def expected_type(spec_object: str, member: str, facts: dict[str, Any]) -> str:
    """Type of a member of the specification, as a field has it."""
    base = facts["type"].removesuffix(" array")
    if base == "object":
        return message_of(facts["object"]).name if "object" in facts else "Ext"
    if facts.get("flag") and (spec_object, member) not in INT32_FLAGS:
        return "bool"
    return {"integer": "int32", "float": "double", "string": "string"}[base]


def test_the_specification_is_whole():
    assert len(SPEC["objects"]) == 38
    assert sum(len(each["fields"]) for each in SPEC["objects"].values()) == 417


@pytest.mark.parametrize("name", sorted(SPEC["objects"]))
def test_an_object_of_the_specification_has_all_its_members(name):
    fields = message_of(name).fields_by_name
    for member, facts in SPEC["objects"][name]["fields"].items():
        field = fields[member]
        assert type_name(field).rpartition(".")[2] == expected_type(name, member, facts), member
        assert field.is_repeated == facts["type"].endswith(" array"), member
