"""Is it OpenRTB 2.6? Requests and responses judged by rules, each with an id and a place.

    result = BidRequestValidator().validate(request)
    if not result.ok:
        for violation in result.errors:
            print(violation)  # error imp[0].video.mimes: expected at least one item, found nothing

An ERROR is what the standard, or the request that is answered, forbids. A WARNING is allowed, but
deprecated, without effect or most likely not meant. Values that a list doesn't have are neither.
`RULES` names every rule with its source.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from xsp_server.openrtb.validation import result
from xsp_server.openrtb.validation.request import BidRequestValidator
from xsp_server.openrtb.validation.response import BidResponseValidator
from xsp_server.openrtb.validation.result import Rule, Severity, ValidationResult, Violation

RULES: Final[Mapping[str, Rule]] = MappingProxyType(result.RULES)
"""Every rule by its id."""

__all__ = [
    "RULES",
    "BidRequestValidator",
    "BidResponseValidator",
    "Rule",
    "Severity",
    "ValidationResult",
    "Violation",
]
