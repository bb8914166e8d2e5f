"""`xsp serve`."""

import asyncio
import gc
import signal
from pathlib import Path

import click
import uvloop

from xsp_server import config
from xsp_server.config import Settings
from xsp_server.service import logs
from xsp_server.service.reload import SettingsFile
from xsp_server.service.server import Server


@click.command("serve")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; `xsp config` prints one. Without it: defaults and environment.",
)
def command(file: Path | None) -> None:
    """Run the server until SIGTERM or Ctrl-C, then drain and stop.

    Settings of auctions, bidders and logs, and certificates, are read again when their files
    change, and on SIGHUP.
    """
    settings = config.load(file)
    logs.configure(settings.log)
    uvloop.run(serve(settings, file))


async def serve(settings: Settings, file: Path | None = None) -> None:
    """Runs a server until a signal ends it.

    Args:
        settings: to begin with.
        file: that they came from; None: defaults and environment alone.
    """
    async with Server(settings) as server:

        def change(changed: Settings) -> None:
            server.change(changed)
            logs.configure(changed.log)

        source = SettingsFile(file, change, server)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, source.read_again)
        watch = asyncio.create_task(source.watch())
        # What start-up made stays: no collection of garbage has to look at it again, each of which
        # stops every auction for a while.
        gc.collect()
        gc.freeze()
        await stop_signal()
        watch.cancel()


async def stop_signal() -> None:
    """Returns on the first SIGTERM or SIGINT; a second one kills, as usual."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    for number in signals:
        loop.remove_signal_handler(number)
