"""What a bidder may see of a request, decided before anybody is asked. Pure.

PrivacyPolicy.apply(request, bidder) -> Disclosure | Refusal     for one bidder
policy.read(request), policy.plan(signals, bidder), plan.apply   the same in steps, for several
PrivacyPolicy.from_mapping(table), policy.bidder(table)          settings from TOML

Signals are coppa, gdpr with consent, us_privacy, gpp, lmt, dnt, and the exchange's own policy.
What each of them takes away is a table (`rules`), which settings change field by field.
"""

from xsp_server.auction.privacy.policy import (
    BidderPrivacy,
    Disclosure,
    Plan,
    PrivacyPolicy,
    Refusal,
)
from xsp_server.auction.privacy.rules import Rule
from xsp_server.auction.privacy.signals import Reading, Signals
from xsp_server.auction.privacy.words import Action, Change, Precision, Signal, Treatment

__all__ = [
    "Action",
    "BidderPrivacy",
    "Change",
    "Disclosure",
    "Plan",
    "Precision",
    "PrivacyPolicy",
    "Reading",
    "Refusal",
    "Rule",
    "Signal",
    "Signals",
    "Treatment",
]
