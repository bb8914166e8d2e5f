"""Settings read again while the server runs: on SIGHUP, and when a file changes.

A file that can't be read, or has a wrong setting, changes nothing; the log says what is wrong.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from xsp_server import config
from xsp_server.errors import ConfigError

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""

Stamp = tuple[int, int, int]


class HasCertificates(Protocol):
    """Who has certificates in files: a server."""

    @property
    def certificate_files(self) -> Sequence[Path]:
        """The files."""
        ...

    def renew_certificates(self) -> None:
        """Takes up what they hold now.

        Raises:
            ConfigError: one is wrong.
        """
        ...


class SettingsFile:
    """The file that the settings came from; the environment stays on top of it."""

    def __init__(
        self,
        file: Path | None,
        change: Callable[[config.Settings], None],
        certificates: HasCertificates | None = None,
    ) -> None:
        """Remembers the file as it is now.

        Args:
            file: None: the settings are defaults and environment alone.
            change: takes other settings; it may raise ConfigError.
            certificates: whoever has some, in files that are watched as well. They are renewed
                even where the settings can't be read; and with the first look, since files may
                have changed after they were read.
        """
        self._file = file
        self._change = change
        self._certificates = certificates
        stamp = None if file is None else _stamp(file)
        self._stamps: dict[Path, Stamp] = {} if file is None or stamp is None else {file: stamp}
        self._asked = asyncio.Event()

    def read_again(self) -> None:
        """Has everything read now, changed or not."""
        self._asked.set()

    async def watch(self, every: float = LOOK_EVERY) -> None:
        """Reads each file when it changes, and all when it is asked to. Never returns.

        Args:
            every: seconds between two looks at the files.
        """
        while True:
            try:
                async with asyncio.timeout(every):
                    await self._asked.wait()
            except TimeoutError:
                pass
            changed, asked = self._changed(), self._asked.is_set()
            self._asked.clear()
            if asked or changed - {self._file}:
                self._renew()
            if asked or self._file in changed:
                await self._read()

    def _changed(self) -> set[Path | None]:
        """Files that are others than at the last look, or weren't looked at then."""
        files = [] if self._certificates is None else [*self._certificates.certificate_files]
        if self._file is not None:
            files.append(self._file)
        before = {file: self._stamps[file] for file in files if file in self._stamps}
        now = {file: stamp for file in files if (stamp := _stamp(file)) is not None}
        self._stamps = {**before, **now}  # one that has gone counts when it is there again
        return {file for file, stamp in now.items() if before.get(file) != stamp}

    def _renew(self) -> None:
        if self._certificates is None:
            return
        try:
            self._certificates.renew_certificates()
        except ConfigError as error:
            log.error("certificates kept as they were", reason=str(error))  # noqa: TRY400

    async def _read(self) -> None:
        try:
            settings = await asyncio.to_thread(_load, self._file)
            self._change(settings)
        except ConfigError as error:
            log.error("settings kept as they were", reason=str(error))  # noqa: TRY400 - it says all


def _load(file: Path | None) -> config.Settings:
    """The settings; an empty file is one that is being written, not a wish for all defaults.

    Raises:
        ConfigError: it is empty, can't be read or has a wrong setting.
    """
    if file is not None and _is_empty(file):
        raise ConfigError(f"{file}: empty, as a file that is being written; expected settings")
    return config.load(file)


def _is_empty(file: Path) -> bool:
    try:
        return not file.read_bytes().strip()
    except OSError:  # which loading it tells
        return False


def _stamp(file: Path) -> Stamp | None:
    """What changes when the file does; None while there is none, as between two editors' steps."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
