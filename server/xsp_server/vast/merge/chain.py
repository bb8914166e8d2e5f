"""The fold: what each link of a chain adds to the ad at its end."""

from collections.abc import Sequence
from typing import Any, Final

from xsp.vast.v1 import resolution_pb2, vast_pb2
from xsp_server.vast.merge.categories import blocked_by
from xsp_server.vast.merge.creatives import merge_creatives
from xsp_server.vast.merge.links import Content, Link
from xsp_server.vast.merge.origins import Origins
from xsp_server.vast.merge.verifications import list_verifications


def merge(
    links: Sequence[Link], *, sequence: int | None = None, origins: bool = True
) -> resolution_pb2.ResolvedAd:
    """Folds a chain.

    Args:
        links: outermost Wrapper first, the InLine last.
        sequence: place in the pod that the player asked for; None: a stand-alone ad.
        origins: whether to list where everything came from: URLs, companions, icons,
            verifications and extensions.

    Returns:
        The ad; without metadata.
    """
    contents = [link.content for link in links]
    ad = _joined(links[-1].ad, contents[:-1])
    ad.ClearField("sequence")
    if sequence is not None:
        ad.sequence = sequence
    noted = Origins([link.hop for link in links]) if origins else None
    wrappers = [link.ad.wrapper for link in links[:-1]]
    merge_creatives(ad.inline, links[-1].ad.inline, wrappers, noted)
    parts = _way_of(links)
    if noted is not None:
        _list(contents, noted)
        list_verifications(contents, noted)
        parts |= noted.values()
        parts["extension_hops"] = [
            link.hop
            for link, content in zip(links, contents, strict=True)
            for _ in content.extensions
        ]
    return resolution_pb2.ResolvedAd(ad=ad, **parts)


def way_of(links: Sequence[Link]) -> resolution_pb2.ResolvedAd:
    """The way to an ad, without the ad: its links, and what they block."""
    return resolution_pb2.ResolvedAd(**_way_of(links))


def _way_of(links: Sequence[Link]) -> dict[str, Any]:
    blocked = blocked_by(link.ad.wrapper for link in links[:-1])
    return {
        "inline_version": links[-1].version,
        "chain": [link.values() for link in links],
        "wrapper_count": len(links) - 1,
        "blocked_categories": [
            {"authority": authority or None, "codes": codes} for authority, codes in blocked.items()
        ],
    }


def _joined(own: vast_pb2.Ad, wrappers: Sequence[Content]) -> vast_pb2.Ad:
    """The ad with what every Wrapper adds to it as a whole.

    Merging messages puts lists one behind the other, and of two ids the later one stays: so what
    the Wrappers have is put together first, and the ad's own goes on top of it.
    """
    ad = vast_pb2.Ad()
    if wrappers:
        inline = ad.inline
        impressions, errors = inline.impressions, inline.errors
        for wrapper in wrappers:
            impressions.extend(wrapper.impressions)
            errors.extend(wrapper.errors)
            if wrapper.ad_verifications:
                inline.ad_verifications.extend(wrapper.ad_verifications)
            if wrapper.extensions:
                inline.extensions.extend(wrapper.extensions)
            if wrapper.HasField("viewable_impression"):
                inline.viewable_impression.MergeFrom(wrapper.viewable_impression)
                inline.viewable_impression.ClearField("unknown")
    ad.MergeFrom(own)
    # The first Wrapper's price counts (VAST 4.3 section 3.4.8); an empty element has none.
    for wrapper in wrappers:
        if wrapper.pricing.value.strip():
            ad.inline.pricing.CopyFrom(wrapper.pricing)
            break
    return ad


_VIEWABLE: Final = (
    ("viewables", resolution_pb2.TRACKING_KIND_VIEWABLE),
    ("not_viewables", resolution_pb2.TRACKING_KIND_NOT_VIEWABLE),
    ("view_undetermineds", resolution_pb2.TRACKING_KIND_VIEW_UNDETERMINED),
)


def _list(contents: Sequence[Content], origins: Origins) -> None:
    """Notes the URLs of the ad as a whole."""
    for position, content in enumerate(contents):
        impressions = content.impressions
        origins.identified(position, resolution_pb2.TRACKING_KIND_IMPRESSION, impressions)
        origins.plain(position, resolution_pb2.TRACKING_KIND_ERROR, content.errors)
        if content.HasField("viewable_impression"):
            for name, kind in _VIEWABLE:
                origins.plain(position, kind, getattr(content.viewable_impression, name))
