"""Files of certificates: what they held when something was made of them, and whether they still do.

Who renews a certificate replaces its file, and the settings that name the file stay the same.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

Contents = Mapping[Path, bytes | None]
"""Digests by file; None: it could not be read."""


def contents(files: Iterable[Path]) -> Contents:
    """What files hold now, to be compared with what they held before."""
    return {file: _digest(file) for file in files}


def _digest(file: Path) -> bytes | None:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return None
