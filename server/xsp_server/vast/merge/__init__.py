"""A chain of Wrappers and the InLine at its end, folded into one ad. Pure.

    merge(links)                      the ad, with all that the Wrappers add and where it came from
    way_of(links)                     the way alone
    Link(ad, hop, ...)                one `Ad` element on the way
    blocked_by(wrappers)              the categories that Wrappers block, by authority

Wrappers add, they never replace; duplicates stay, each party counts its own. Where only one can
hold (a click's page, an icon of a program, a companion for a slot) the closest to the InLine does,
but for the price, where the first Wrapper's does. Nothing that is given is ever changed, and two
ads behind one Wrapper share nothing.
"""

from xsp_server.vast.merge.categories import Blocked, blocked_by, blocked_category, with_more
from xsp_server.vast.merge.chain import merge, way_of
from xsp_server.vast.merge.links import Link

__all__ = [
    "Blocked",
    "Link",
    "blocked_by",
    "blocked_category",
    "merge",
    "way_of",
    "with_more",
]
