"""Messages as documents: `render` writes one version of VAST, in the order of its schema.

What the version can't hold is left out and listed; what the model has in `unknown` and in
extensions is written back where it stood. `render_whole` looks for a version that holds all.

    plans   what a message becomes in a version, from the table of the schema
    writer  a message by its plan
"""

import re
from dataclasses import dataclass
from typing import Final

from xsp.vast.v1 import vast_pb2, violations_pb2
from xsp_server.vast.faults import VastUnwritable
from xsp_server.vast.render.writer import OF_VERSION, NotWhole, Writer
from xsp_server.vast.schema import VERSIONS, Version, name_of, version_of

__all__ = ["Rendered", "render", "render_whole"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document that was written.

    Attributes:
        xml: the document, with an XML declaration that says UTF-8.
        violations: what was left out, without a line; and what the version requires and the
            message lacks, with lines of `xml`.
    """

    xml: str
    violations: tuple[violations_pb2.Violation, ...]


def render(
    vast: vast_pb2.Vast,
    *,
    version: Version | None = None,
    indent: bool = False,
    strict: bool = False,
) -> Rendered:
    """Writes a message as a document.

    Args:
        vast: the message.
        version: the version to write; None or unspecified is the message's own.
        indent: whether the XML is spread over lines for a reader.
        strict: whether to refuse a message that the version can't hold all of.

    Returns:
        The document, and what is not as in the message.

    Raises:
        VastUnwritable: no version, or one that isn't known; or something would be left out and
            `strict` is set.
    """
    own = version_of(vast.version)
    chosen = version or own
    if chosen not in VERSIONS:
        raise VastUnwritable(
            f"no version to write: VAST@version is {vast.version!r:.40}; expected 2.0 to 4.3"
        )
    writer = Writer(chosen, indent=indent)
    writer.document(_labelled(vast, chosen))
    if strict and writer.left_out:
        raise VastUnwritable(f"VAST {name_of(chosen)} can't hold all of it", writer.left_out)
    return _rendered(writer)


def render_whole(vast: vast_pb2.Vast, lowest: Version) -> Rendered:
    """Writes a message as the lowest version that holds all of it.

    Where none does, it is the one that leaves out the fewest elements with URLs to request; of
    several such the one that leaves out the fewest elements, then attributes; then the lowest.

    Args:
        vast: the message.
        lowest: the first version that will do.

    Returns:
        The document, and what is not as in the message.
    """
    versions = [version for version in VERSIONS if version >= lowest]
    for version in versions:
        writer = Writer(version, whole=True)
        try:
            writer.document(_labelled(vast, version))
        except NotWhole:
            continue
        return _rendered(writer)
    return min((render(vast, version=version) for version in versions), key=_losses)


_REQUESTED: Final = re.compile(
    r"/(?:Error|CustomClick|\w*Impression|\w*Tracking|\w*View\w*|Icon|Verification)(?:\[\d+\])?$"
)
"""Ends of paths to what is requested, or has something in it that is."""


def _losses(rendered: Rendered) -> tuple[int, int, int]:
    """How much a version leaves out: elements with URLs to request, elements, and altogether."""
    lost = [each.path for each in rendered.violations if each.rule in OF_VERSION]
    requested = sum(bool(_REQUESTED.search(path)) for path in lost)
    return requested, sum("/@" not in path for path in lost), len(lost)


def _labelled(vast: vast_pb2.Vast, version: Version) -> vast_pb2.Vast:
    """The message if it says that it is of a version, else a copy that does."""
    if version_of(vast.version) == version:
        return vast
    labelled = vast_pb2.Vast()
    labelled.CopyFrom(vast)
    labelled.version = name_of(version)
    return labelled


def _rendered(writer: Writer) -> Rendered:
    return Rendered("".join(writer.parts), (*writer.left_out, *writer.lacking))
