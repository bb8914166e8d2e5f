"""How large a document may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one document; one beyond them is refused, not cut.

    Attributes:
        max_bytes: bytes, after decompression.
        max_depth: elements within each other, the root counted. The XML parser itself goes no
            deeper than 256.
        max_elements: elements and attributes together.
    """

    max_bytes: int = 1_048_576
    max_depth: int = 64
    max_elements: int = 50_000
