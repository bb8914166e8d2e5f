"""Bid requests: the validator, and the checks that look at several of their objects or fields."""

from collections.abc import Mapping
from typing import Any, Final

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp_server.openrtb.validation import formats, media, native
from xsp_server.openrtb.validation.ext import EVERYWHERE
from xsp_server.openrtb.validation.findings import ROOT, Findings, Place, shown
from xsp_server.openrtb.validation.plans import Across, Plan, compile_plans, inspect
from xsp_server.openrtb.validation.result import Severity, ValidationResult, define
from xsp_server.openrtb.validation.tables import FIXED_PRICE, REQUEST_TABLES

_CHANNELS: Final = ("site", "app", "dooh")
_MEASUREMENT_VENDOR: Final = 1
_BY_IP_ADDRESS: Final = 2
_MATCHED_BY_SOMEBODY: Final = {3, 4, 5}
"""ID Match Methods for which the matcher matters."""
_PROBABILITIES: Final = {"viewability", "click_through_rate", "completion_rate"}
"""Metric types in common use whose value is a probability."""
_STATE_CODE_LENGTH: Final = 2


class BidRequestValidator:
    """Says what is wrong with a bid request. Has no state: one serves all."""

    def validate(
        self, request: BidRequest, raw: Mapping[str, Any] | None = None
    ) -> ValidationResult:
        """Checks a request against OpenRTB 2.6 and, for native imps, Native 1.2.

        Args:
            request: the message, as it came.
            raw: the JSON object that the message was made from, if any. It shows what a message
                can't: a site beside an app. Values of wrong types and unknown members are the
                codec's to report.

        Returns:
            All violations, of every imp. Nothing is raised for a bad request.
        """
        findings = Findings()
        inspect(_PLAN, request, ROOT, findings)
        if raw is not None:
            _check_channels(raw, findings)
        return findings.result()


_CHANNEL = define(
    "bidrequest.channel",
    "",
    "at most one of site, app, dooh",
    "3.2.1",
)
_DOOH_GEO = define(
    "dooh.geo",
    "device.geo",
    "lat and lon, which DOOH needs because an IP address may be missing",
    "implementation 7.9.2.5",
    Severity.WARNING,
)
_METRIC_VALUE = define(
    "metric.value.probability",
    "value",
    "0.0 to 1.0, being a probability",
    "3.2.5",
)
_PRIVATE = define(
    "pmp.deals.private-auction",
    "deals",
    "at least one deal, since only deals may bid (private_auction = 1)",
    "3.2.11",
    Severity.WARNING,
)
_FIXED_PRICE = define(
    "deal.bidfloor.fixed-price",
    "bidfloor",
    "the agreed price, above 0 (at = 3)",
    "3.2.12",
    Severity.WARNING,
)
_REGION = define(
    "geo.region.state",
    "region",
    "a state of the USA in two letters, as CA",
    "3.2.19",
)
_IP_SERVICE = define(
    "geo.ipservice.type",
    "ipservice",
    "nothing unless type is 2, by IP address",
    "3.2.19",
    Severity.WARNING,
)
_MATCHER = define(
    "eid.matcher.with-mm",
    "matcher",
    "who matched the id; it may be absent only if mm is 0, 1 or 2",
    "3.2.27",
    Severity.WARNING,
)
_VENDOR = define(
    "qty.vendor.with-sourcetype",
    "vendor",
    "the measurement vendor (sourcetype = 1)",
    "3.2.31",
)


def _check_channels(raw: Mapping[str, Any], findings: Findings) -> None:
    present = [name for name in _CHANNELS if raw.get(name) is not None]
    if len(present) > 1:
        findings.report(_CHANNEL, ROOT, " and ".join(present), field=present[-1])


def _check_imps(request: BidRequest, _place: Place, findings: Findings) -> None:
    if len(request.imp) > 1:
        media.check_pods(request.imp, findings)


def _check_dooh(request: BidRequest, _place: Place, findings: Findings) -> None:
    geo = request.device.geo
    if not (geo.HasField("lat") and geo.HasField("lon")):
        findings.report(_DOOH_GEO, ROOT, "no position")


def _check_metric(metric: BidRequest.Metric, place: Place, findings: Findings) -> None:
    if metric.type in _PROBABILITIES and not 0 <= metric.value <= 1:
        findings.report(_METRIC_VALUE, place, shown(metric.value))


def _check_private_auction(pmp: BidRequest.Pmp, place: Place, findings: Findings) -> None:
    if pmp.private_auction and not pmp.deals:
        findings.report(_PRIVATE, place, "nothing")


def _check_fixed_price(deal: BidRequest.Deal, place: Place, findings: Findings) -> None:
    # A negative floor is another rule's business.
    if deal.at == FIXED_PRICE and deal.bidfloor == 0:
        found = shown(deal.bidfloor) if deal.HasField("bidfloor") else "nothing"
        findings.report(_FIXED_PRICE, place, found)


def _check_state(geo: BidRequest.Geo, place: Place, findings: Findings) -> None:
    if geo.country == "USA" and formats.is_subdivision(geo.region):
        state = geo.region.removeprefix("US-")
        if not (len(state) == _STATE_CODE_LENGTH and state.isalpha()):
            findings.report(_REGION, place, shown(geo.region))


def _check_ip_service(geo: BidRequest.Geo, place: Place, findings: Findings) -> None:
    if geo.type != _BY_IP_ADDRESS:
        found = f"{geo.ipservice} with type {geo.type}"
        findings.report(_IP_SERVICE, place, found)


def _check_matcher(eid: BidRequest.EID, place: Place, findings: Findings) -> None:
    if eid.mm in _MATCHED_BY_SOMEBODY and not eid.matcher:
        findings.report(_MATCHER, place, f"nothing with mm {eid.mm}")


def _check_vendor(qty: BidRequest.Qty, place: Place, findings: Findings) -> None:
    if qty.sourcetype == _MEASUREMENT_VENDOR and not qty.vendor:
        findings.report(_VENDOR, place, "nothing")


_ACROSS: Final = (
    Across(BidRequest, ("imp",), _check_imps),
    Across(BidRequest, ("dooh",), _check_dooh),
    Across(BidRequest.Metric, ("type", "value"), _check_metric),
    Across(BidRequest.Pmp, ("private_auction",), _check_private_auction),
    Across(BidRequest.Deal, ("at",), _check_fixed_price),
    Across(BidRequest.Geo, ("country", "region"), _check_state),
    Across(BidRequest.Geo, ("ipservice", "type"), _check_ip_service),
    Across(BidRequest.EID, ("mm",), _check_matcher),
    Across(BidRequest.Qty, ("sourcetype",), _check_vendor),
)


def _compile() -> Plan:
    plans = compile_plans(REQUEST_TABLES, EVERYWHERE)
    for across in (*media.ACROSS, *native.across(plans[NativeRequest]), *_ACROSS):
        plans[across.message].across(across.when, across.check)
    return plans[BidRequest]


_PLAN: Final = _compile()
