"""Addresses in documents, made complete. Pure."""

import re
from typing import Final
from urllib.parse import urljoin

_SCHEME: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")


def without_fragment(address: str) -> str:
    """An address as a server is asked for it."""
    return address.partition("#")[0]


def complete(address: str, base: str | None) -> str | None:
    """An address against the one that its document came from; None: it can't be completed.

    One that has a scheme stays as it is, whatever stands in it.
    """
    if _SCHEME.match(address):
        return address
    if not base:
        return None
    try:
        return urljoin(base, address)
    except ValueError:  # urllib's own complaint about a host
        return None
