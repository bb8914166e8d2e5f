"""Macros: what stands in place of [NAME] in the URLs of VAST documents. Pure.

    fill(url, values)                   a URL with its macros filled, each value encoded once
    MacroValues(mapping)                what is known, kept or withheld, by name
    values_of(session, asked)           the same, of a session: what privacy leaves of it
    values_of_ad(ad)                    what is settled once an ad is found
    MacroChoices.from_message(options)  what a caller wants of them
    MACROS                              the 60 names that VAST lists

Filling is one pass over the text as it stands (VAST 4.3 section 6.1). A listed name without a value
becomes -1, one that is withheld -2, where VAST has these; names that it doesn't list are vendors'
own and stay, and so do those that only a player can know (`Source.PLAYER`).
"""

from xsp_server.vast.macros.choices import InvalidMacros, MacroChoices
from xsp_server.vast.macros.disclosure import Judge, as_request, careful
from xsp_server.vast.macros.filling import Spelling, fill
from xsp_server.vast.macros.names import MACROS, SETTLED, Context, Kind, Macro, Source
from xsp_server.vast.macros.session import Asked, values_of
from xsp_server.vast.macros.settled import values_of_ad
from xsp_server.vast.macros.values import Absence, Item, MacroValues, Value

__all__ = [
    "MACROS",
    "SETTLED",
    "Absence",
    "Asked",
    "Context",
    "InvalidMacros",
    "Item",
    "Judge",
    "Kind",
    "Macro",
    "MacroChoices",
    "MacroValues",
    "Source",
    "Spelling",
    "Value",
    "as_request",
    "careful",
    "fill",
    "values_of",
    "values_of_ad",
]
