"""`xsp config`."""

import os
from pathlib import Path

import click

from xsp_server import config
from xsp_server.cli.words import counted
from xsp_server.errors import ConfigError


@click.command("config")
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Check this settings file instead, with the environment over it.",
)
def command(check: Path | None) -> None:
    """Print a commented settings file with every setting, its type and its default."""
    if check is None:
        click.echo(config.template(), nl=False)
        return
    settings = config.load(check)
    _check(settings)
    bidders = counted(len(settings.bidders), "bidder")
    click.echo(f"{check}: {bidders}, every setting fits")


def _check(settings: config.Settings) -> None:
    """Finds what a start would: also in the sections of plug-ins, and in the files that are named.

    Nothing is opened for writing, dialled or bound.
    """
    # Imported here, as printing the template needs none of it.
    from xsp_server.service.server import Server  # noqa: PLC0415
    from xsp_server.service.tls import certificates  # noqa: PLC0415

    Server(settings)
    certificates(settings.server.tls)
    file = settings.record.file
    if file is not None:
        place = file if file.exists() else file.parent
        if not os.access(place, os.W_OK):
            fault = "can't be written" if place.exists() else "doesn't exist"
            raise ConfigError(f"record.file: {place} {fault}; expected a file that can be written")
