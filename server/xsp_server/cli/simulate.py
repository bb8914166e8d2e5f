"""`xsp simulate`."""

from textwrap import indent

import click
import uvloop
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from xsp_server.cli.serve import stop_signal
from xsp_server.errors import ConfigError
from xsp_server.registry import describe
from xsp_server.simulator import BidderSettings, running
from xsp_server.simulator.distributions import FORMS


def _options() -> list[click.Option]:
    """One option for each setting of a simulated bidder, so that help and settings never differ."""
    return [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            multiple=isinstance(field.default, tuple),
            help=_help(field),
        )
        for name, field in BidderSettings.model_fields.items()
    ]


def _help(field: FieldInfo) -> str:
    about = " ".join((field.description or "").split())
    default = field.default
    if isinstance(default, tuple):
        about += " Repeat the option for more."
        default = ", ".join(default)
    return about if default in (None, "") else f"{about}  [default: {default}]"


@click.command(
    "simulate", params=_options(), epilog=f"\b\nA spread is one of:\n{indent(FORMS, '  ')}"
)
@click.option("--http-port", default=0, help="Port of the HTTP face; 0 takes a free one.")
@click.option("--grpc-port", default=0, help="Port of the gRPC face; 0 takes a free one.")
@click.option("--seed", default=0, show_default=True, help="What all chance follows from.")
def command(
    http_port: int, grpc_port: int, seed: int, **values: str | tuple[str, ...] | None
) -> None:
    """Run a simulated bidder over HTTP and gRPC until Ctrl-C.

    The same seed and request give the same answer, whatever the order.
    """
    given = {name: value for name, value in values.items() if value not in (None, ())}
    for name, value in given.items():
        joined = next((each for each in value or () if "," in each), None)
        if isinstance(value, tuple) and joined:
            raise click.BadParameter(
                f"got {joined!r}; repeat the option for each", param_hint=f"--{name}"
            )
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
