"""Documents as messages: `parse` reads VAST 2.0 to 4.3, whatever its shape.

Elements are known by their local names, in any namespace and order; what the model has no field
for is kept in `unknown`. Only what can't be read as VAST at all is refused.

    source     bytes to bytes that the XML parser may see: encodings, DOCTYPE, limits
    shapes     which element and attribute goes to which field, from the table of the schema
    walk       elements to field values
    fragments  XML that is kept as text
"""

from xsp.vast.v1 import vast_pb2
from xsp_server.vast.limits import Limits
from xsp_server.vast.parse.source import tree_of
from xsp_server.vast.parse.walk import values_of

__all__ = ["parse"]

_DEFAULT_LIMITS = Limits()


def parse(
    document: bytes, *, charset: str | None = None, limits: Limits = _DEFAULT_LIMITS
) -> vast_pb2.Vast:
    """Reads a document of VAST 2.0 to 4.3.

    Args:
        document: the XML, in any encoding that it declares, or in UTF-8 or UTF-16.
        charset: a character set from outside, such as a Content-Type header's, which goes before
            the document's own declaration. One that isn't known is passed over.
        limits: how large the document may be.

    Returns:
        The message, as `vast.proto` says it.

    Raises:
        VastUnreadable: not well-formed, a DOCTYPE, beyond the limits, another root than `VAST`, or
            a version that isn't read, such as 1.x.
    """
    return vast_pb2.Vast(**values_of(tree_of(document, charset, limits), limits))
