"""The command line `xsp`."""

import sys

import click

from xsp_server.errors import XspError

_COMMANDS = {
    "bid": "Run one auction on a server and show what happened.",
    "config": "Print a commented settings file with every setting.",
    "convert": "Turn OpenRTB JSON into protobuf, or back.",
    "demo": "A server, three simulated bidders and one auction.",
    "replay": "Run recorded auctions again and tell differences.",
    "serve": "Run the server.",
    "state": "Audit the store of caps and budgets.",
    "vast": "Follow VAST chains; check VAST documents.",
    "validate": "Say what is wrong with bid requests or responses.",
    "simulate": "Run a simulated bidder over HTTP and gRPC.",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is called, so that `xsp --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command's name, sorted."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        module = __import__(f"xsp_server.cli.{cmd_name}", fromlist=["command"])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xsp")
def group() -> None:
    """XSP, an ad exchange core over gRPC."""


def main() -> None:
    """Runs the command line; errors of ours are one message and exit status 1."""
    try:
        group(prog_name="xsp")
    except XspError as error:
        click.echo(f"xsp: {error}", err=True)
        sys.exit(1)
