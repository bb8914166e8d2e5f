"""One step of a chain."""

from typing import Any, NamedTuple

from xsp.vast.v1 import vast_pb2

Content = vast_pb2.InLine | vast_pb2.Wrapper


class Link(NamedTuple):
    """One `Ad` element on the way to an ad.

    Attributes:
        ad: the element; a Wrapper, but for the last link of a whole chain.
        hop: what its document came by, as an index.
        ad_index: which `Ad` of the document.
        version: `VAST@version` of the document, as written; None: it has none.
    """

    ad: vast_pb2.Ad
    hop: int
    ad_index: int = 0
    version: str | None = None

    @property
    def content(self) -> Content:
        """What the element holds; without anything, an empty InLine."""
        return self.ad.wrapper if self.ad.HasField("wrapper") else self.ad.inline

    def values(self) -> dict[str, Any]:
        """The fields of the contract's message."""
        system = self.content.ad_system
        return {
            "hop": self.hop,
            "ad_index": self.ad_index,
            "ad_id": self.ad.id if self.ad.HasField("id") else None,
            "ad_system": system.value if system.HasField("value") else None,
            "version": self.version,
        }
