"""`xsp config`."""

from pathlib import Path

import click

from xsp_server import config


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
    # Building the server checks what plug-ins own: the sections of the bidders.
    from xsp_server.service.server import Server  # noqa: PLC0415 - only this branch needs it

    Server(settings)
    click.echo(f"{check}: {len(settings.bidders)} bidders, every setting fits")
