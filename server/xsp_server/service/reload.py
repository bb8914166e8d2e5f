"""Settings read again while the server runs: on SIGHUP, and when their file changes.

A file that can't be read, or has a wrong setting, changes nothing; the log says what is wrong.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from xsp_server import config
from xsp_server.errors import ConfigError

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file."""

Stamp = tuple[int, int, int]


class SettingsFile:
    """The file that the settings came from; the environment stays on top of it."""

    def __init__(self, file: Path | None, change: Callable[[config.Settings], None]) -> None:
        """Remembers the file as it is now.

        Args:
            file: None: the settings are defaults and environment alone, and nothing changes.
            change: takes other settings; it may raise ConfigError.
        """
        self._file = file
        self._change = change
        self._stamp = _stamp(file)
        self._asked = asyncio.Event()

    def read_again(self) -> None:
        """Has the settings read now, changed or not."""
        self._asked.set()

    async def watch(self, every: float = LOOK_EVERY) -> None:
        """Reads the file when it changes, and when it is asked to. Never returns.

        Args:
            every: seconds between two looks at the file.
        """
        while True:
            try:
                async with asyncio.timeout(every):
                    await self._asked.wait()
            except TimeoutError:
                pass
            stamp = _stamp(self._file)
            if self._asked.is_set() or (stamp is not None and stamp != self._stamp):
                self._asked.clear()
                self._stamp = stamp
                await self._read()

    async def _read(self) -> None:
        try:
            settings = await asyncio.to_thread(config.load, self._file)
            self._change(settings)
        except ConfigError as error:
            log.error("settings kept as they were", reason=str(error))  # noqa: TRY400 - it says all


def _stamp(file: Path | None) -> Stamp | None:
    """What changes when the file does; None while there is none, as between two editors' steps."""
    try:
        status = None if file is None else file.stat()
    except OSError:
        return None
    return None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)
