"""`xsp bid`."""

import asyncio
from typing import BinaryIO

import click
from google.protobuf import json_format

from xsp.bid.v1.bid_service_pb2 import RunAuctionResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_client import XspClient, XspClientError
from xsp_server.cli import explanation, render
from xsp_server.openrtb import codec


@click.command("bid")
@click.argument("file", type=click.File("rb"))
@click.option("--server", default="127.0.0.1:50051", show_default=True, help="Where XSP listens.")
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Deadline in seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print the BidResponse as OpenRTB JSON.")
@click.option("--explain", is_flag=True, help="Draw every decision as a tree, with its reason.")
@click.option("--report", is_flag=True, help="Print the auction report as protobuf JSON.")
def command(
    file: BinaryIO, server: str, timeout: float, as_json: bool, explain: bool, report: bool
) -> None:
    """Run one auction: FILE is an OpenRTB 2.6 bid request in JSON, `-` for standard input.

    Draws who bid what, who won and at what price, and why the others did not.
    """
    request = read_request(file)
    try:
        answer = asyncio.run(ask(server, request, timeout))
    except XspClientError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(codec.write(answer.bid_response))
    elif report:
        click.echo(json_format.MessageToJson(answer.report, preserving_proto_field_name=True))
    elif explain:
        explanation.draw(answer.report)
    else:
        render.auction(answer)


def read_request(file: BinaryIO) -> BidRequest:
    """The request in a JSON file; members that OpenRTB doesn't have are told on standard error."""
    parsed = codec.parse_bid_request(file.read())
    for path in parsed.unknown:
        click.echo(f"ignored: {path} is not in OpenRTB 2.6", err=True)
    return parsed.message


async def ask(server: str, request: BidRequest, timeout: float) -> RunAuctionResponse:
    """Runs the auction on a server and gives answer and report."""
    async with XspClient(server) as client:
        return await client.run_auction(request, timeout=timeout)
