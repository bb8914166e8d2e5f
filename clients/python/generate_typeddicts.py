"""Prints xsp_client/openrtb.py: the OpenRTB objects of proto/ as TypedDicts with their comments.

    .venv/bin/python clients/python/generate_typeddicts.py > clients/python/xsp_client/openrtb.py

Comments are not in the descriptors that a program has at run time, so protoc (grpcio-tools, a
development dependency) reads the .proto files again.
"""

import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

ROOT = Path(__file__).parents[2]
FOLDER = "xsp/openrtb/v2"
FILES = ("bid_request", "bid_response", "transparency")
NATIVE = ("NativeRequest", "NativeResponse")
"""Their nested objects have names that bid objects have too, so they take the outer name along."""
TEXT_INSTEAD = ("request_native", "adm_native")
"""Members that OpenRTB's JSON doesn't have: it has the text beside them."""
WIDTH = 100

SCALARS: Mapping[int, str] = {
    FieldDescriptorProto.TYPE_BOOL: "Literal[0, 1]",
    FieldDescriptorProto.TYPE_INT32: "int",
    FieldDescriptorProto.TYPE_DOUBLE: "float",
    FieldDescriptorProto.TYPE_STRING: "str",
}

HEADER = '''\
# Generated from proto/ by clients/python/generate_typeddicts.py. Do not edit.
# ruff: noqa: D205 - the sentences are the contract's own, some longer than a line
"""OpenRTB 2.6 and Native 1.2 as TypedDicts: what a client sends and gets as dicts.

No member is required for the type checker; "Required" in a text is OpenRTB's word. Flags are 0
or 1. An `ext` takes any members beside those that are typed.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict
'''


@dataclass(frozen=True)
class Kind:
    """One object: its Python name, its descriptor and its comments by the numbers of its fields."""

    name: str
    proto: DescriptorProto
    comment: str
    comments: Mapping[int, str]
    is_request: bool


def generate() -> str:
    """The text of the module."""
    kinds = {full_name: kind for file in parse() for full_name, kind in objects(file)}
    return "\n\n".join([HEADER, *(render(kind, kinds) for kind in kinds.values())])


def parse() -> list[FileDescriptorProto]:
    """The files as protoc reads them, comments included."""
    names = [f"{FOLDER}/{name}.proto" for name in FILES]  # in the order of the module
    with tempfile.NamedTemporaryFile() as out:
        command = [
            *(sys.executable, "-m", "grpc_tools.protoc", "-I", str(ROOT / "proto")),
            *("--include_source_info", f"--descriptor_set_out={out.name}"),
            *names,
        ]
        subprocess.run(command, check=True)  # noqa: S603 - our own words
        files = FileDescriptorSet.FromString(Path(out.name).read_bytes()).file
    return sorted(files, key=lambda file: names.index(file.name))


def objects(file: FileDescriptorProto) -> Iterator[tuple[str, Kind]]:
    """Every object of a file by its full protobuf name, an object before those nested in it."""
    comments = {
        tuple(location.path): " ".join(location.leading_comments.split())
        for location in file.source_code_info.location
    }

    def walk(
        proto: DescriptorProto, outer: tuple[str, ...], path: tuple[int, ...]
    ) -> Iterator[tuple[str, Kind]]:
        names = (*outer, proto.name)
        kind = Kind(
            python_name(names),
            proto,
            comments.get(path, ""),
            {f.number: comments.get((*path, 2, i), "") for i, f in enumerate(proto.field)},
            is_request=file.name.endswith("request.proto"),
        )
        if shown(kind) and not proto.options.map_entry:
            yield ".".join(("", file.package, *names)), kind
        for index, nested in enumerate(proto.nested_type):
            yield from walk(nested, names, (*path, 3, index))

    for index, proto in enumerate(file.message_type):
        yield from walk(proto, (), (4, index))


def python_name(names: tuple[str, ...]) -> str:
    """The spec's name of an object; those of native and every Ext keep the outer name."""
    keep = names[-2:] if names[-1] == "Ext" else names[-1:]
    if names[0] in NATIVE and len(names) > len(keep):
        keep = (names[0], *keep)
    return "".join(keep)


def shown(kind: Kind) -> list[FieldDescriptorProto]:
    """The fields that are members of the JSON object. An Ext without typed members has none."""
    hidden = (*TEXT_INSTEAD, "raw_json")
    return [field for field in kind.proto.field if field.name not in hidden]


def render(kind: Kind, kinds: Mapping[str, Kind]) -> str:
    """One TypedDict."""
    lines = [f"class {kind.name}(TypedDict, total=False):", *class_docstring(kind)]
    for field in shown(kind):
        annotation, comment = member(kind, field, kinds)
        lines += ["", f"    {field.name}: {annotation}"]
        lines += quoted(textwrap.wrap(comment, WIDTH - 10)) if comment else []
    return "\n".join(lines) + "\n"


def class_docstring(kind: Kind) -> list[str]:
    """The object's comment: its first sentence, an empty line, and the rest."""
    text = kind.comment
    if kind.proto.name == "Ext":
        owner = kind.name.removesuffix("Ext")
        text = f"Members of {owner}.ext that IAB Tech Lab defines. Others may stand beside them."
    first, *rest = re.split(r"(?<=\.) (?=[A-Z])", text, maxsplit=1)
    lines = textwrap.wrap(first, WIDTH - 10)
    if rest:
        lines += ["", *textwrap.wrap(rest[0], WIDTH - 4), ""]
    elif len(lines) > 1:
        lines += [""]
    return quoted(lines)


def quoted(lines: list[str]) -> list[str]:
    """Lines as an indented docstring; an empty last line puts the closing quotes on their own."""
    text = "\n".join(f"    {line}".rstrip() for line in lines)
    end = "    " if lines[-1] == "" else ""
    return ["    " + f'"""{text.strip()}' + (f"\n{end}" if end else "") + '"""']


def member(kind: Kind, field: FieldDescriptorProto, kinds: Mapping[str, Kind]) -> tuple[str, str]:
    """Type and comment of one member."""
    if field.name == "ext":
        return ext_member(kind, kinds.get(field.type_name))
    return annotate(kind, field, kinds), kind.comments[field.number]


def ext_member(kind: Kind, ext: Kind | None) -> tuple[str, str]:
    """A request's ext names its typed members for completion; a response's stays free to read."""
    if ext is None:
        return "dict[str, Any]", "Extensions: any members; they travel unchanged."
    comment = f"Extensions: any members. {ext.name} has those that IAB Tech Lab defines."
    return (f"{ext.name} | dict[str, Any]" if kind.is_request else "dict[str, Any]"), comment


def annotate(kind: Kind, field: FieldDescriptorProto, kinds: Mapping[str, Kind]) -> str:
    """The type of a member other than ext."""
    if field.type in SCALARS:
        name = SCALARS[field.type]
    elif field.type_name in kinds:
        name = kinds[field.type_name].name
    elif field.type_name == ".google.protobuf.Value":
        name = "Any"
    else:
        entry = next(e for e in kind.proto.nested_type if field.type_name.endswith(f".{e.name}"))
        key, value = (SCALARS[f.type] for f in entry.field)
        return f"dict[{key}, {value}]"
    return f"list[{name}]" if field.label == FieldDescriptorProto.LABEL_REPEATED else name


if __name__ == "__main__":
    sys.stdout.write(generate())
