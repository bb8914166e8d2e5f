"""Bid responses: the validator, and what can be judged without the request."""

from typing import Final
from xml.parsers import expat

import orjson

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.validation.ext import EVERYWHERE
from xsp_server.openrtb.validation.findings import ROOT, Findings, Place, shown
from xsp_server.openrtb.validation.fit import check_fit
from xsp_server.openrtb.validation.plans import compile_plans, inspect, repeated
from xsp_server.openrtb.validation.result import Severity, ValidationResult, define
from xsp_server.openrtb.validation.tables import RESPONSE_TABLES

_NATIVE: Final = 4
"""Bid.mtype of native markup."""


class BidResponseValidator:
    """Says what is wrong with a bid response. Has no state: one serves all."""

    def validate(
        self, response: BidResponse, request: BidRequest | None = None
    ) -> ValidationResult:
        """Checks a response against OpenRTB 2.6 and against the request that it answers.

        Args:
            response: the message, as it came.
            request: what was asked. Without it only the response itself is judged.

        Returns:
            All violations, of every bid. Nothing is raised for a bad response.
        """
        findings = Findings()
        if not response.ListFields():
            findings.report(_EMPTY, ROOT, "an empty object")
            return findings.result()
        inspect(_PLAN, response, ROOT, findings)
        _check_bids(response, findings)
        if request is not None:
            check_fit(response, request, findings)
        _check_groups(response, findings)
        return findings.result()


_EMPTY: Final = define(
    "bidresponse.empty",
    "",
    "an id; as a no-bid an empty object is understood",
    "4.2.1, implementation 7.1",
    Severity.WARNING,
)
_NBR: Final = define(
    "bidresponse.nbr.with-bids",
    "nbr",
    "nothing along with bids",
    "4.2.1",
    Severity.WARNING,
)
_GROUP: Final = define(
    "seatbid.group.complete",
    "group",
    "a valid bid for each of its imps, which are won or lost together",
    "4.2.2",
)
_BID_ID: Final = define(
    "bid.id.unique",
    "id",
    "an id that no other bid of the response has",
    "4.2.3",
)
_NATIVE_JSON: Final = define(
    "bid.adm.native-json",
    "adm",
    "a native response as JSON",
    "4.2.3, Native 1.2, 5.1",
    Severity.WARNING,
)
_VAST_XML: Final = define(
    "bid.adm.vast-xml",
    "adm",
    "well-formed XML without a DOCTYPE",
    "4.2.3",
    Severity.WARNING,
)

_PLAN: Final = compile_plans(RESPONSE_TABLES, EVERYWHERE)[BidResponse]


def _check_bids(response: BidResponse, findings: Findings) -> None:
    bids = [
        (((ROOT, "seatbid", i), "bid", j), bid)
        for i, seatbid in enumerate(response.seatbid)
        for j, bid in enumerate(seatbid.bid)
    ]
    if bids and response.HasField("nbr"):
        findings.report(_NBR, ROOT, f"{response.nbr} and {len(bids)} bids")
    for index in repeated(bid.id for _, bid in bids):
        place, bid = bids[index]
        findings.report(_BID_ID, place, shown(bid.id))
    for place, bid in bids:
        _check_markup(bid, place, findings)


def _check_markup(bid: BidResponse.Bid, place: Place, findings: Findings) -> None:
    """Markup can be read at all. What it says is for others to judge."""
    adm = bid.adm.lstrip()
    if adm.startswith("{") and bid.mtype in {0, _NATIVE}:
        try:
            orjson.loads(adm)
        except orjson.JSONDecodeError as error:
            findings.report(_NATIVE_JSON, place, f"text that is no JSON: {error}")
    elif adm.startswith(("<?xml", "<VAST")):
        problem = _xml_problem(adm)
        if problem:
            findings.report(_VAST_XML, place, problem)


def _xml_problem(document: str) -> str:
    """Why a text is not plain XML; empty if it is. A DOCTYPE ends the reading: no entities."""
    doctypes: list[str] = []
    parser = expat.ParserCreate()

    def stop(name: str, *_: object) -> None:
        doctypes.append(name)
        raise expat.ExpatError

    parser.StartDoctypeDeclHandler = stop
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        return f"DOCTYPE {doctypes[0]}" if doctypes else f"no XML: {error}"
    return ""


def _check_groups(response: BidResponse, findings: Findings) -> None:
    """A group that has no valid bid for one of its imps can't be won at all."""
    for i, seatbid in enumerate(response.seatbid):
        if seatbid.group:
            place = (ROOT, "seatbid", i)
            valid = {
                bid.impid
                for j, bid in enumerate(seatbid.bid)
                if not findings.any_error_in((place, "bid", j))
            }
            lost = {bid.impid for bid in seatbid.bid} - valid
            if lost:
                imps = ", ".join(shown(imp) for imp in sorted(lost))
                findings.report(_GROUP, place, f"no valid bid for imp {imps}")
