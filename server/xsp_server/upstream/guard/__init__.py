"""The address guard: where a URL that comes from outside may lead.

A bidder's notice URL and a VAST tag are texts of strangers, and the server that calls them stands
inside a network. So every such URL passes three gates, and what was checked is what is called:

1. `parse` reads it strictly: http or https, no userinfo, a host that every reader reads alike.
2. `AddressGuard` holds scheme, port and address literals against the settings, redirects included.
3. `CheckedResolver` resolves a name once, checks every address it has, and hands the connector
   these addresses: no second look-up can lead elsewhere.

`addresses`, `urls` and `policy` are pure; `resolver` does the I/O.
"""

from xsp_server.upstream.guard.addresses import Address, reached_by, refusal_of
from xsp_server.upstream.guard.policy import AddressGuard, GuardSettings
from xsp_server.upstream.guard.refusal import AddressRefused
from xsp_server.upstream.guard.resolver import CheckedResolver, LookUp, SystemLookUp
from xsp_server.upstream.guard.urls import Target, parse

__all__ = [
    "Address",
    "AddressGuard",
    "AddressRefused",
    "CheckedResolver",
    "GuardSettings",
    "LookUp",
    "SystemLookUp",
    "Target",
    "parse",
    "reached_by",
    "refusal_of",
]
