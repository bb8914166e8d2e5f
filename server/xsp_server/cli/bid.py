"""`xsp bid`."""

import asyncio
from pathlib import Path
from typing import BinaryIO

import click
import grpc
from google.protobuf import json_format

from xsp.bid.v1.bid_service_pb2 import RunAuctionResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_client import Tls, XspClient, XspClientError
from xsp_server.cli import explanation, render
from xsp_server.openrtb import codec

_PEM = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("bid")
@click.argument("file", type=click.File("rb"))
@click.option("--server", default="127.0.0.1:50051", show_default=True, help="Where XSP listens.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Deadline in seconds.",
)
@click.option("--tls", "use_tls", is_flag=True, help="Use TLS; so do the options that follow.")
@click.option("--ca", type=_PEM, help="Who may have signed the server's certificate (PEM).")
@click.option("--cert", type=_PEM, help="Our own certificate, where the server wants one (PEM).")
@click.option("--key", type=_PEM, help="The private key of --cert (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print the BidResponse as OpenRTB JSON.")
@click.option("--explain", is_flag=True, help="Draw every decision as a tree, with its reason.")
@click.option("--report", is_flag=True, help="Print the auction report as protobuf JSON.")
def command(
    file: BinaryIO,
    server: str,
    timeout: float,
    use_tls: bool,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    as_json: bool,
    explain: bool,
    report: bool,
) -> None:
    """Run one auction: FILE is an OpenRTB 2.6 bid request in JSON, `-` for standard input.

    Draws who bid what, who won and at what price, and why the others did not.
    """
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key belong together; got one of them")
    tls = None
    if use_tls or ca or cert:
        tls = Tls.from_files(root_certificates=ca, certificate_chain=cert, private_key=key)
    request = read_request(file)
    try:
        client = XspClient(server, tls=tls)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from None
    try:
        answer = asyncio.run(_ask(client, request, timeout))
    except XspClientError as error:
        raise click.ClickException(_told(error, server)) from None
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
    return await _ask(XspClient(server), request, timeout)


async def _ask(client: XspClient, request: BidRequest, timeout: float) -> RunAuctionResponse:
    async with client:
        return await client.run_auction(request, timeout=timeout)


def _told(error: XspClientError, server: str) -> str:
    """An error in the words of this command: the client's own are for who programs with it."""
    call = error.__cause__
    if error.status is None or not isinstance(call, grpc.aio.AioRpcError):
        return str(error)
    if error.violations:
        lines = (f"\n  {violation}" for violation in error.violations)
        return f"{server} refuses the request:{''.join(lines)}"
    told = f"{server}: {error.status.name}: {(call.details() or 'no details').rstrip('.')}."
    advice = _ADVICE.get(error.status, "")
    if error.retry_after is not None:
        advice = f"Try again in {error.retry_after:g} s."
    return f"{told} {advice}".rstrip()


_ADVICE = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "Give more time by --timeout, or the request's tmax.",
    grpc.StatusCode.UNAVAILABLE: "Check --server, --tls and --ca, and that the server runs.",
}
