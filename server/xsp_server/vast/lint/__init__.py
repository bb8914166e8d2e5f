"""Deviations from the standard: `lint` lists each with line and path. None makes a document bad.

The document is checked against the version that it names. Severities follow the schema: what it
does not allow is an error; what only the text says is a warning; what is deprecated is a note.

    checker  the walk through the document, and the rules about elements and attributes
    rules    the rules that no schema has: pods, creatives, tracking
    values   what reads as which type
"""

from xml.etree.ElementTree import Element

from xsp.vast.v1 import violations_pb2
from xsp_server.vast.limits import Limits
from xsp_server.vast.lint.checker import Checker
from xsp_server.vast.parse.source import refuse_deep, refuse_others, well_formed

__all__ = ["lint"]

_DEFAULT_LIMITS = Limits()


def lint(
    document: bytes, *, charset: str | None = None, limits: Limits = _DEFAULT_LIMITS
) -> list[violations_pb2.Violation]:
    """Lists what a document does otherwise than its version says.

    Args:
        document: the XML, as `parse` takes it.
        charset: a character set from outside, as `parse` takes it.
        limits: how large the document may be.

    Returns:
        The deviations in document order. One that names no version of VAST is checked as 4.3.

    Raises:
        VastUnreadable: as `parse` does.
    """
    lines: dict[Element, int] = {}
    root = well_formed(document, charset, limits, lines)
    refuse_others(root)
    refuse_deep(root, limits.max_depth)
    return Checker(root, lines).violations()
