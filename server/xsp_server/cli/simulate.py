"""`xsp simulate`."""

import click
import uvloop
from pydantic import ValidationError

from xsp_server.cli.serve import stop_signal
from xsp_server.errors import ConfigError
from xsp_server.registry import describe
from xsp_server.simulator import BidderSettings, running


def _options() -> list[click.Option]:
    """One option for each setting of a simulated bidder, so that help and settings never differ."""
    return [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            multiple=isinstance(field.default, tuple),
            help=" ".join((field.description or "").split()),
        )
        for name, field in BidderSettings.model_fields.items()
    ]


@click.command("simulate", params=_options())
@click.option("--http-port", default=0, help="Port of the HTTP face; 0 takes a free one.")
@click.option("--grpc-port", default=0, help="Port of the gRPC face; 0 takes a free one.")
@click.option("--seed", default=0, help="What all chance follows from.")
def command(
    http_port: int, grpc_port: int, seed: int, **values: str | tuple[str, ...] | None
) -> None:
    """Run a simulated bidder over HTTP and gRPC until Ctrl-C.

    The same seed and request give the same answer, whatever the order.
    """
    given = {name: value for name, value in values.items() if value not in (None, ())}
    try:
        settings = BidderSettings.model_validate(given)
    except ValidationError as error:
        raise ConfigError(describe(error)) from None
    uvloop.run(_simulate(settings, http_port, grpc_port, seed))


async def _simulate(settings: BidderSettings, http_port: int, grpc_port: int, seed: int) -> None:
    async with running(settings, http_port, grpc_port, seed) as endpoints:
        click.echo(f"http {endpoints.http_url}")
        click.echo(f"grpc {endpoints.grpc_target}")
        await stop_signal()
