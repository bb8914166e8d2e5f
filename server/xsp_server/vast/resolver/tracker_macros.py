"""Trackers with macros filled that are settled once the ad is found. Pure."""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from xsp_server.vast.merge import Link

_URLS: Final = frozenset(
    {"errors", "viewables", "not_viewables", "view_undetermineds", "icon_view_trackings"}
)
"""Lists of trackers that are nothing but text."""
_TRACKERS: Final = frozenset({"Tracking", "IdentifiedUrl"})
"""Messages that are trackers; only the page of a click is one of these and none."""


def filled(link: Link, fill: Callable[[str], str]) -> Link:
    """A link whose trackers are filled; the given one stays as it is."""
    ad = type(link.ad)()
    ad.CopyFrom(link.ad)
    _fill(ad, fill)
    return link._replace(ad=ad)


def _fill(message: Any, fill: Callable[[str], str]) -> None:
    for field, value in message.ListFields():
        if field.name in _URLS:
            value[:] = [fill(url) for url in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.name != "click_through":
            for each in value if field.is_repeated else (value,):
                if field.message_type.name in _TRACKERS:
                    each.url = fill(each.url)
                else:
                    _fill(each, fill)
