"""VAST 2.0 to 4.3: documents to messages and back, and chains of them followed to the final ad.

parse, render        functions, from the packages of the same names
VastChainResolver    imported when it is first asked for: documents alone need no event loop
"""

from typing import TYPE_CHECKING, Any

from xsp_server.vast.parse import parse
from xsp_server.vast.render import render

if TYPE_CHECKING:
    from xsp_server.vast.resolver import VastChainResolver

__all__ = ["VastChainResolver", "parse", "render"]


def __getattr__(name: str) -> Any:
    if name != "VastChainResolver":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from xsp_server.vast import resolver  # noqa: PLC0415 - see above

    return resolver.VastChainResolver
