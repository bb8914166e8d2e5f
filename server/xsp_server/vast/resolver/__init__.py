"""From a tag or a document to the final ads, over however many documents lie between.

    VastChainResolver(upstream).resolve(source)     one resolution, whatever comes of it
    ResolverSettings                                the most that a call may cost
    Upstream, Fetcher, DocumentAsk, Document        what it needs of whoever fetches

What a document means for its chain is decided without any I/O (`decision`, `requirements`,
`error_plan`, `answer`); `driver` alone waits for something.
"""

from xsp_server.vast.resolver.chains import Fire, OnHop, VastChainResolver
from xsp_server.vast.resolver.fetcher import (
    Document,
    DocumentAsk,
    Fetcher,
    Redirect,
    Session,
    Upstream,
)
from xsp_server.vast.resolver.refused import TagRefused
from xsp_server.vast.resolver.wishes import InvalidOptions, ResolverSettings

__all__ = [
    "Document",
    "DocumentAsk",
    "Fetcher",
    "Fire",
    "InvalidOptions",
    "OnHop",
    "Redirect",
    "ResolverSettings",
    "Session",
    "TagRefused",
    "Upstream",
    "VastChainResolver",
]
