"""`xsp convert`."""

import sys
from typing import BinaryIO

import click
from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError, Message

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp_server.errors import InvalidRequest, Violation
from xsp_server.openrtb import codec

TYPES: dict[str, type[Message]] = {
    "request": BidRequest,
    "response": BidResponse,
    "native-request": NativeRequest,
    "native-response": NativeResponse,
}


@click.command("convert")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--type",
    "type_name",
    type=click.Choice(sorted(TYPES)),
    default="request",
    show_default=True,
    help="The OpenRTB object in FILE.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["json", "protobuf"]),
    help="What FILE holds. Default: JSON if it begins with {, else protobuf.",
)
@click.option(
    "--to",
    "target",
    type=click.Choice(["json", "protobuf", "protojson", "text"]),
    help="What to print: OpenRTB JSON, protobuf's bytes, its JSON (for buf curl) or its text. "
    "Default: the other of JSON and protobuf.",
)
@click.option("--defaults", is_flag=True, help="JSON: fill in the defaults of the specification.")
@click.option("--coerce", is_flag=True, help='JSON: take "3" for 3, and say so.')
def command(
    file: BinaryIO,
    type_name: str,
    source: str | None,
    target: str | None,
    defaults: bool,
    coerce: bool,
) -> None:
    """Turn OpenRTB JSON into protobuf, or back. FILE is `-` for standard input.

    What was left out (members that OpenRTB doesn't have) is told on standard error.
    """
    data = file.read()
    if source is None and not data.strip():
        raise InvalidRequest(Violation("", f"{_name(file)} is empty; expected JSON or protobuf"))
    source = source or ("json" if data.lstrip()[:1] == b"{" else "protobuf")
    message = _read(data, TYPES[type_name], source, coerce)
    if target is None:
        target = "protobuf" if source == "json" else "json"
        if target == "protobuf" and sys.stdout.isatty():
            raise click.UsageError(
                "protobuf is binary and would go to the terminal; expected --to json, protojson or "
                "text, or an output to a file: > FILE"
            )
    if target == "protobuf":
        sys.stdout.buffer.write(message.SerializeToString())
    elif target == "json":
        click.echo(codec.write(message, defaults=defaults))
    elif target == "protojson":
        click.echo(json_format.MessageToJson(message, preserving_proto_field_name=True))
    else:
        click.echo(text_format.MessageToString(message, as_utf8=True), nl=False)


def _name(file: BinaryIO) -> str:
    return getattr(file, "name", "-")


def _read(data: bytes, message_type: type[Message], source: str, coerce: bool) -> Message:
    if source == "protobuf":
        try:
            return message_type.FromString(data)
        except DecodeError as error:
            name = message_type.DESCRIPTOR.full_name
            raise InvalidRequest(
                Violation("", f"expected an {name} in protobuf ({error})")
            ) from None
    parsed = codec.parse(message_type, data, coerce=coerce)
    for path in parsed.unknown:
        click.echo(f"left out: {path} is not in OpenRTB 2.6", err=True)
    for path in parsed.coerced:
        click.echo(f"coerced: {path} had another type", err=True)
    return parsed.message
