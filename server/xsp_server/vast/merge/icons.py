"""Icons of a chain: one for each program (VAST 3.0 section 2.4.3.6)."""

from collections.abc import Sequence

from xsp.vast.v1 import resolution_pb2, vast_pb2
from xsp_server.vast.merge.joining import closest_first
from xsp_server.vast.merge.origins import Origins

Placed = tuple[int, vast_pb2.Linear]
"""A Linear of a Wrapper, with the Wrapper's position in the chain."""


def merge_icons(
    linear: vast_pb2.Linear,
    own: vast_pb2.Linear,
    wrappers: Sequence[Placed],
    position: int,
) -> list[int]:
    """Chooses for every program the icons closest to the InLine; programs differ, all stay.

    An icon that names no program stands for itself. Icons of one program in one document stay when
    they are made for other pixel ratios.

    Args:
        linear: the InLine's, to be changed.
        own: the same as its document has it.
        wrappers: outermost first.
        position: of the InLine.

    Returns:
        The positions of the icons that `linear` has then, in their order: the InLine's first, then
        those of the closest Wrapper.
    """
    positions: list[int] = []
    chosen: list[vast_pb2.Icon] = []
    taken: dict[str, tuple[int, set[str]]] = {}
    for place, each in ((position, own), *closest_first(wrappers)):
        for icon in each.icons:
            program = icon.program.casefold()
            if program:
                holder, ratios = taken.setdefault(program, (place, set()))
                ratio = icon.pxratio or "1"
                if holder != place or ratio in ratios:
                    continue
                ratios.add(ratio)
            positions.append(place)
            chosen.append(icon)
    if positions.count(position) == len(own.icons):
        linear.icons.extend(chosen[len(own.icons) :])
    else:
        del linear.icons[:]
        linear.icons.extend(chosen)
    return positions


def list_icons(
    linear: vast_pb2.Linear,
    positions: Sequence[int],
    creative: int,
    origins: Origins,
) -> None:
    """Notes where each icon of a creative came from, and its URLs."""
    for index, (position, icon) in enumerate(zip(positions, linear.icons, strict=True)):
        origins.icon(position, creative, index)
        origins.plain(
            position,
            resolution_pb2.TRACKING_KIND_ICON_VIEW,
            icon.icon_view_trackings,
            creative,
            index,
        )
        clicks = icon.icon_clicks.icon_click_trackings
        origins.identified(
            position, resolution_pb2.TRACKING_KIND_ICON_CLICK, clicks, creative, index
        )
