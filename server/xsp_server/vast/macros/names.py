"""The macros that VAST lists: one table.

Facts of VAST 4.3 section 6.1 and IAB Tech Lab's list of macros that goes on with it. They may be
used with every version of VAST, whichever brought them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    NUMBER = "number"
    LIST = "list"
    """Several values: each is percent-encoded, bare commas join them."""


class Source(StrEnum):
    """Who knows the value."""

    SERVER = "server"
    CALLER = "caller"
    """Whoever asks the server, or its session; else the player."""
    PLAYER = "player"
    """Nobody before the URL is requested while the ad plays. Without a value it stays as it is."""


class Context(StrEnum):
    """URLs that VAST lists a macro for."""

    REQUEST = "request"
    """The first tag, and every `VASTAdTagURI`."""
    TRACKING = "tracking"
    CLICK = "click-tracking"
    ERROR = "error"
    VERIFICATION = "verificationNotExecuted"


@dataclass(frozen=True, slots=True)
class Macro:
    """What VAST says of one macro.

    Attributes:
        name: without brackets.
        since: the version of VAST that brought it; `4.x`: the list, after 4.3's text; `next`: for
            a version that isn't out yet.
        kind: what its value is.
        source: who knows its value.
        contexts: URLs that it is for.
        has_absence: whether -1 stands for an unknown and -2 for a withheld value. VAST has neither
            for macros that it requires.
    """

    name: str
    since: str
    kind: Kind
    source: Source
    contexts: frozenset[Context]
    has_absence: bool


_TEXT, _NUMBER, _LIST = Kind.TEXT, Kind.NUMBER, Kind.LIST
_SERVER, _CALLER, _PLAYER = Source.SERVER, Source.CALLER, Source.PLAYER
_ANY = frozenset({Context.REQUEST, Context.TRACKING})
_REQUEST = frozenset({Context.REQUEST})
_TRACKING = frozenset({Context.TRACKING})

_REQUIRED: Final = frozenset(
    {"TIMESTAMP", "CACHEBUSTING", "ERRORCODE", "REASON", "LIMITADTRACKING"}
)

_ROWS: tuple[tuple[str, str, Kind, Source, frozenset[Context]], ...] = (
    ("TIMESTAMP", "4.0", _TEXT, _SERVER, _ANY),
    ("CACHEBUSTING", "3.0", _NUMBER, _SERVER, _ANY),
    # The ad break.
    ("CONTENTPLAYHEAD", "3.0", _TEXT, _CALLER, _ANY),
    ("MEDIAPLAYHEAD", "4.1", _TEXT, _CALLER, _ANY),
    ("BREAKPOSITION", "4.1", _NUMBER, _CALLER, _ANY),
    ("BLOCKEDADCATEGORIES", "4.1", _LIST, _SERVER, _REQUEST),
    ("ADCATEGORIES", "4.1", _LIST, _CALLER, _REQUEST),
    ("ADCOUNT", "4.1", _NUMBER, _CALLER, _ANY),
    ("TRANSACTIONID", "4.1", _TEXT, _SERVER, _ANY),
    ("PLACEMENTTYPE", "4.1", _NUMBER, _CALLER, _ANY),
    ("ADTYPE", "4.1", _TEXT, _SERVER, _ANY),
    ("UNIVERSALADID", "4.1", _LIST, _SERVER, _TRACKING),
    ("BREAKMINDURATION", "4.2", _NUMBER, _CALLER, _ANY),
    ("BREAKMAXDURATION", "4.2", _NUMBER, _CALLER, _ANY),
    ("BREAKMAXADS", "4.2", _NUMBER, _CALLER, _ANY),
    ("BREAKMINADLENGTH", "4.2", _NUMBER, _CALLER, _ANY),
    ("BREAKMAXADLENGTH", "4.2", _NUMBER, _CALLER, _ANY),
    # The client and who asks for it.
    ("IFA", "4.1", _TEXT, _CALLER, _ANY),
    ("IFATYPE", "4.1", _TEXT, _CALLER, _ANY),
    ("CLIENTUA", "4.1", _TEXT, _CALLER, _ANY),
    ("SERVERUA", "4.1", _TEXT, _SERVER, _ANY),
    ("DEVICEUA", "4.1", _TEXT, _CALLER, _ANY),
    ("SERVERSIDE", "4.1", _NUMBER, _SERVER, _ANY),
    ("DEVICEIP", "4.1", _TEXT, _CALLER, _ANY),
    ("LATLONG", "4.1", _LIST, _CALLER, _ANY),
    # The publisher.
    ("DOMAIN", "4.1", _TEXT, _CALLER, _ANY),
    ("PAGEURL", "4.1", _TEXT, _CALLER, _ANY),
    ("APPBUNDLE", "4.1", _TEXT, _CALLER, _ANY),
    ("STOREID", "4.x", _TEXT, _CALLER, _ANY),
    ("STOREURL", "4.x", _TEXT, _CALLER, _ANY),
    # What the player can do.
    ("VASTVERSIONS", "4.1", _LIST, _CALLER, _REQUEST),
    ("APIFRAMEWORKS", "4.1", _LIST, _CALLER, _REQUEST),
    ("EXTENSIONS", "4.1", _LIST, _CALLER, _REQUEST),
    ("VERIFICATIONVENDORS", "4.1", _LIST, _CALLER, _REQUEST),
    ("OMIDPARTNER", "4.1", _TEXT, _CALLER, _ANY),
    ("MEDIAMIME", "4.1", _LIST, _CALLER, _REQUEST),
    ("PLAYERCAPABILITIES", "4.1", _LIST, _CALLER, _ANY),
    ("CLICKTYPE", "4.1", _NUMBER, _CALLER, _ANY),
    ("PLAYBACKMETHODS", "4.x", _NUMBER, _CALLER, _ANY),
    # How the player and the slot are.
    ("PLAYERSTATE", "4.1", _LIST, _PLAYER, _TRACKING),
    ("INVENTORYSTATE", "4.1", _LIST, _CALLER, _ANY),
    ("PLAYERSIZE", "4.1", _LIST, _CALLER, _ANY),
    ("ADPLAYHEAD", "4.1", _TEXT, _PLAYER, _TRACKING),
    ("ASSETURI", "3.0", _TEXT, _CALLER, _TRACKING),
    ("CONTENTID", "4.1", _TEXT, _CALLER, _ANY),
    ("CONTENTURI", "4.1", _TEXT, _CALLER, _ANY),
    ("CONTENTCAT", "4.x", _LIST, _CALLER, _REQUEST),
    ("PODSEQUENCE", "4.1", _NUMBER, _SERVER, _TRACKING),
    ("ADSERVINGID", "4.1", _TEXT, _SERVER, _TRACKING),
    # What happened.
    ("CLICKPOS", "4.1", _LIST, _PLAYER, frozenset({Context.CLICK})),
    ("ERRORCODE", "3.0", _NUMBER, _SERVER, frozenset({Context.ERROR})),
    ("REASON", "4.1", _NUMBER, _PLAYER, frozenset({Context.VERIFICATION})),
    # What the law and the user say.
    ("LIMITADTRACKING", "4.1", _NUMBER, _CALLER, _ANY),
    ("REGULATIONS", "4.1", _LIST, _CALLER, _ANY),
    ("GDPRCONSENT", "4.1", _TEXT, _CALLER, _ANY),
    ("GPPSTRING", "4.x", _TEXT, _CALLER, _ANY),
    ("GPPSECTIONID", "4.x", _LIST, _CALLER, _ANY),
    ("DSAREQUIRED", "next", _NUMBER, _CALLER, _REQUEST),
    ("DSAPARAMS", "next", _LIST, _CALLER, _REQUEST),
    ("DSAPUBRENDER", "next", _NUMBER, _CALLER, _REQUEST),
)

MACROS: Final = {row[0]: Macro(*row, has_absence=row[0] not in _REQUIRED) for row in _ROWS}
"""Every macro by its name."""

SETTLED: Final = frozenset({"ADSERVINGID", "UNIVERSALADID", "PODSEQUENCE", "ADTYPE"})
"""Names that are known for good once the ad is found."""
