"""The table of IAB's official protos, and message classes built from it at run time."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import message_factory, struct_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

TABLE: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "openrtb_proto_wire.json").read_bytes()
)
OPENRTB: dict[str, Any] = TABLE["openrtb"]
ARTF: dict[str, Any] = TABLE["artf"]

SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "string": FieldDescriptorProto.TYPE_STRING,
}


@cache
def theirs(package: str, name: str) -> type[Message]:
    """IAB's message class of this name, from nothing but the table."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{package}.{name}"))


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_file("openrtb.proto", OPENRTB, "google/protobuf/struct.proto"))
    pool.Add(_file("artf.proto", ARTF, "openrtb.proto"))
    return pool


def _file(name: str, table: dict[str, Any], *imports: str) -> FileDescriptorProto:
    """A file in proto2, whose presence and packing are said field by field."""
    file = FileDescriptorProto(name=name, package=table["package"], dependency=imports)
    scopes: dict[str, Any] = {"": file}
    for full_name in sorted(table["messages"]):
        scope, _, last = full_name.rpartition(".")
        siblings = scopes[scope].nested_type if scope else file.message_type
        scopes[full_name] = siblings.add(name=last)
        _fill(scopes[full_name], table["messages"][full_name]["fields"], table)
    for full_name, facts in table["enums"].items():
        scope, _, last = full_name.rpartition(".")
        _fill_enum(scopes[scope].enum_type.add(name=last), facts["values"])
    return file


def _fill_enum(enum: EnumDescriptorProto, values: dict[str, int]) -> None:
    for name, number in sorted(values.items(), key=lambda item: item[1]):
        enum.value.add(name=name, number=number)


def _fill(message: DescriptorProto, fields: dict[str, Any], table: dict[str, Any]) -> None:
    oneofs: list[str] = []
    for name, facts in fields.items():
        field = message.field.add(name=name, number=facts["number"])
        repeated = facts["label"] in {"repeated", "map"}
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        if facts["label"] == "map":
            _fill_map(message, field, table)
            continue
        _set_type(field, facts, table)
        if facts.get("packed"):
            field.options.packed = True
        if "oneof" in facts:
            if facts["oneof"] not in oneofs:
                oneofs.append(facts["oneof"])
                message.oneof_decl.add(name=facts["oneof"])
            field.oneof_index = oneofs.index(facts["oneof"])


def _set_type(field: FieldDescriptorProto, facts: dict[str, Any], table: dict[str, Any]) -> None:
    name = facts["type"]
    if name in SCALARS:
        field.type = SCALARS[name]
        return
    field.type = field.TYPE_ENUM if facts.get("enum") else field.TYPE_MESSAGE
    local = name in table["messages"] or name in table["enums"]
    field.type_name = f".{table['package']}.{name}" if local else f".{name}"


def _fill_map(message: DescriptorProto, field: FieldDescriptorProto, table: dict[str, Any]) -> None:
    """`map<string,double>`, the only kind there is."""
    entry = message.nested_type.add(name=f"{field.name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, (name, kind) in enumerate((("key", "string"), ("value", "double")), 1):
        part = entry.field.add(name=name, number=number, label=field.LABEL_OPTIONAL)
        part.type = SCALARS[kind]
    field.type = field.TYPE_MESSAGE
    scope = next(n for n, facts in table["messages"].items() if field.name in facts["fields"])
    field.type_name = f".{table['package']}.{scope}.{entry.name}"
