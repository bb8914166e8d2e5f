"""Where everything in an ad came from, noted while its chain is folded."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from xsp.vast.v1 import resolution_pb2, vast_pb2

Kind: TypeAlias = resolution_pb2.TrackingKind.ValueType

_NOT_REQUESTED = frozenset({"", "about:blank"})
"""Stand for no URL (VAST 4.3 section 3.4.4)."""


class Origins:
    """The origins of one ad's parts.

    They are kept as values: to make all messages by one constructor costs a third of making them
    one by one.
    """

    __slots__ = ("_companions", "_hops", "_icons", "_urls", "_verifications")

    def __init__(self, hops: Sequence[int]) -> None:
        """Takes the hops of the chain, outermost first. Positions are places in this sequence."""
        self._hops = hops
        self._urls: list[list[dict[str, Any]]] = [[] for _ in hops]
        self._companions: list[dict[str, Any]] = []
        self._icons: list[dict[str, Any]] = []
        self._verifications: list[dict[str, Any]] = []

    def plain(
        self,
        position: int,
        kind: Kind,
        urls: Iterable[str],
        creative: int | None = None,
        item: int | None = None,
    ) -> None:
        """Notes URLs that are nothing but text."""
        found, common = self._urls[position], self._common(position, kind, creative, item)
        for url in urls:
            if url not in _NOT_REQUESTED:
                found.append({"url": url, **common})

    def identified(
        self,
        position: int,
        kind: Kind,
        urls: Iterable[vast_pb2.IdentifiedUrl],
        creative: int | None = None,
        item: int | None = None,
    ) -> None:
        """Notes URLs that may have an id."""
        found, common = self._urls[position], self._common(position, kind, creative, item)
        for one in urls:
            url = one.url
            if url not in _NOT_REQUESTED:
                found.append({"url": url, "id": one.id or None, **common})

    def events(
        self,
        position: int,
        kind: Kind,
        trackings: Iterable[vast_pb2.Tracking],
        creative: int | None = None,
        item: int | None = None,
    ) -> None:
        """Notes URLs of events."""
        found, common = self._urls[position], self._common(position, kind, creative, item)
        for tracking in trackings:
            url = tracking.url
            if url not in _NOT_REQUESTED:
                found.append(
                    {
                        "url": url,
                        "event": tracking.event or None,
                        "offset": tracking.offset or None,
                        **common,
                    }
                )

    def _common(
        self, position: int, kind: Kind, creative: int | None, item: int | None
    ) -> dict[str, int]:
        """What the URLs of one list have in common."""
        common = {"kind": kind, "hop": self._hops[position]}
        if creative is not None:
            common["creative_index"] = creative
        if item is not None:
            common["item_index"] = item
        return common

    def companion(self, position: int, creative: int, index: int, *, preferred: bool) -> None:
        """Notes a companion of the merged ad."""
        self._companions.append(
            {
                "creative_index": creative,
                "companion_index": index,
                "hop": self._hops[position],
                "preferred": preferred,
            }
        )

    def icon(self, position: int, creative: int, index: int) -> None:
        """Notes an icon of the merged ad."""
        self._icons.append(
            {"creative_index": creative, "icon_index": index, "hop": self._hops[position]}
        )

    def verification(
        self, position: int, verification: vast_pb2.Verification, *, from_extension: bool
    ) -> None:
        """Notes a verification, and its URLs."""
        index = len(self._verifications)
        self._verifications.append(
            {
                "verification": verification,
                "hop": self._hops[position],
                "from_extension": from_extension,
            }
        )
        events = verification.tracking_events
        self.events(position, resolution_pb2.TRACKING_KIND_VERIFICATION_EVENT, events, item=index)
        if verification.HasField("viewable_impression"):
            urls = [verification.viewable_impression]
            kind = resolution_pb2.TRACKING_KIND_VERIFICATION_VIEWABLE
            self.identified(position, kind, urls, item=index)

    def values(self) -> dict[str, Any]:
        """What was noted, by the names of `ResolvedAd`."""
        return {
            "tracking_urls": [url for found in self._urls for url in found],
            "companions": self._companions,
            "icons": self._icons,
            "verifications": self._verifications,
        }
