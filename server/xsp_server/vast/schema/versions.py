"""The versions of VAST that are read and written."""

import re
from typing import Final

Version = int
"""A version as `VastVersion` numbers it: 20 for 2.0 to 43 for 4.3, so that versions compare."""

VERSIONS: Final[tuple[Version, ...]] = (20, 30, 40, 41, 42, 43)

NAMESPACE: Final = "http://www.iab.com/VAST"
"""IAB's namespace, which documents have from 4.0 on."""

_NUMBER = re.compile(r"\s*(\d)\.(\d)(?:\.\d+)*\s*", re.ASCII)


def name_of(version: Version) -> str:
    """The version as documents write it, such as "4.2"."""
    return f"{version // 10}.{version % 10}"


def version_of(text: str) -> Version | None:
    """The version that `VAST@version` names; "2.0.1" is 2.0. None for any that isn't known."""
    match = _NUMBER.fullmatch(text)
    number = int(match[1] + match[2]) if match else 0
    return number if number in VERSIONS else None
