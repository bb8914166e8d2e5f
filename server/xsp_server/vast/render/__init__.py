"""Messages as documents: `render` writes one version of VAST, in the order of its schema.

What the version can't hold is left out and listed; what the model has in `unknown` and in
extensions is written back where it stood.

    plans   what a message becomes in a version, from the table of the schema
    writer  a message by its plan
"""

from dataclasses import dataclass

from xsp.vast.v1 import vast_pb2, violations_pb2
from xsp_server.vast.faults import VastUnwritable
from xsp_server.vast.render.writer import Writer
from xsp_server.vast.schema import VERSIONS, Version, name_of, version_of

__all__ = ["Rendered", "render"]


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
    if chosen != own:
        original, vast = vast, vast_pb2.Vast()
        vast.CopyFrom(original)
        vast.version = name_of(chosen)
    writer = Writer(chosen, indent=indent)
    writer.document(vast)
    if strict and writer.left_out:
        raise VastUnwritable(f"VAST {name_of(chosen)} can't hold all of it", writer.left_out)
    return Rendered("".join(writer.parts), (*writer.left_out, *writer.lacking))
