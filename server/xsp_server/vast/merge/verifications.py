"""Verifications of a chain, those in extensions included (VAST 4.3 section 1.8)."""

from collections.abc import Sequence
from typing import Final

from xsp.vast.v1 import vast_pb2
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.merge.links import Content
from xsp_server.vast.merge.origins import Origins
from xsp_server.vast.parse import parse

_EXTENSION: Final = "adverifications"


def list_verifications(contents: Sequence[Content], origins: Origins) -> None:
    """Notes all that hold for the ad, outermost first."""
    for position, content in enumerate(contents):
        for verification in content.ad_verifications:
            origins.verification(position, verification, from_extension=False)
        for extension in content.extensions:
            if extension.type.casefold() == _EXTENSION:
                for verification in _read(extension.xml):
                    origins.verification(position, verification, from_extension=True)


def _read(xml: str) -> Sequence[vast_pb2.Verification]:
    """The verifications in an extension's XML, with or without the element that groups them."""
    for group in ("", "AdVerifications"):
        inside = f"<{group}>{xml}</{group}>" if group else xml
        document = f'<VAST version="4.3"><Ad><InLine>{inside}</InLine></Ad></VAST>'
        try:
            found = parse(document.encode()).ads[0].inline.ad_verifications
        except VastUnreadable:
            return ()
        if found:
            return found
    return ()
