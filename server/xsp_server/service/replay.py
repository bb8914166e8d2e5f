"""Replay: a recorded auction run again, and whatever came out otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from xsp.bid.v1.auction_options_pb2 import ExplainLevel
from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp.bid.v1.auction_report_pb2 import AuctionReport, Fate
from xsp_server import auction
from xsp_server.auction import Rules
from xsp_server.auction.plan import Plan
from xsp_server.service.exchange import AuctionRun, Timings
from xsp_server.service.planning import Asked
from xsp_server.service.record import answer_form_of, replies_of, rules_of
from xsp_server.service.report import report
from xsp_server.service.state_verdicts import refusals_of

MAX_TEXT = 120
"""Characters of a value that a difference shows."""

_NOT_DECIDED: Mapping[str, tuple[str, ...]] = {
    "AuctionReport": ("session_request_id", "rules_digest", "timings"),
    "BidderReport": (
        *("skipped_imps", "privacy_changes"),
        *("timeout", "sent_at", "latency", "attempts", "secondary", "http_status", "grpc_status"),
    ),
    "BidReport": ("vast",),
    "PodReport": ("took",),
}
"""What a report tells of planning, privacy, calls and times. The auction itself decides the rest.

The auction is run on the request as it was judged and on the replies as they came, so who was asked
for what, and what privacy rules took from their requests, is a fact of the record.
"""

_NAMES = {"BidderReport": "bidder", "ImpReport": "imp_id", "PodReport": "pod_id"}
"""Which field tells entries of a list apart better than their place."""

_NO_TIMES = Timings(
    available_ms=0, validation_ms=0, planning_ms=0, bidders_ms=0, decision_ms=0, total_ms=0
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that came out otherwise.

    Attributes:
        path: where in the record, as `report.bidders[acme].bids[0].fate`.
        recorded: the value of the record, as text; `absent` where it has none.
        replayed: the value of the replay, likewise.
    """

    path: str
    recorded: str
    replayed: str


def run_again(record: AuctionRecord, rules: Rules | None = None) -> AuctionRun:
    """Runs a recorded auction.

    Args:
        record: the record.
        rules: to run it by; None: those that held.

    Returns:
        The auction; its times are 0.

    Raises:
        RecordError: the record lacks something or can't be read.
        ConfigError: it has a rule that this version doesn't know.
    """
    request, replies = record.bid_request, replies_of(record)
    rules, form = rules_of(record) if rules is None else rules, answer_form_of(record)
    withdrawn = _withdrawn(record)
    result = auction.run(request, replies, rules, _imps_asked(record), withdrawn)
    response = auction.build_response(
        request, result, seatnonbid=form.seatnonbid, fill_macros=form.fill_macros
    )
    return AuctionRun(
        request=request,
        asked=[Asked(Plan(reply.bidder, tuple(reply.imp_ids))) for reply in record.replies],
        rules=rules,
        replies=replies,
        result=result,
        response=response,
        started_at=record.clock.ToDatetime(UTC),
        timings=_NO_TIMES,
        form=form,
        state=tuple(record.state),
        withdrawn=withdrawn,
    )


def _withdrawn(record: AuctionRecord) -> Mapping[auction.BidKey, auction.Refusal]:
    """Bids that were refused from outside: what the world said then is a fact of the record."""
    by_state = refusals_of(record.state)
    withdrawn: dict[auction.BidKey, auction.Refusal] = {}
    for bidder in record.report.bidders:
        for bid in bidder.bids:
            refusal = by_state.get((bidder.bidder, bid.imp_id, bid.bid_id))
            if bid.fate == Fate.FATE_VAST_UNRESOLVED:
                refusal = auction.vast_unresolved(bid.vast.error_code)
            if refusal is not None:
                withdrawn[bidder.bidder, bid.seatbid_index, bid.bid_index] = refusal
    return withdrawn


def _imps_asked(record: AuctionRecord) -> dict[str, tuple[str, ...]]:
    """The imps of each bidder that was asked for some of them only."""
    every = len(record.bid_request.imp)
    return {
        reply.bidder: tuple(reply.imp_ids)
        for reply in record.replies
        if reply.imp_ids and len(reply.imp_ids) < every
    }


def differences(record: AuctionRecord, run: AuctionRun) -> list[Difference]:
    """What came out otherwise: of the response everything, of the report all but `_NOT_DECIDED`.

    Args:
        record: the record.
        run: the auction, run again.

    Returns:
        In the order of the fields; empty: the replay gave the same answer, byte for byte.
    """
    full = report(run, record.auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
    pairs: list[tuple[str, Message, Message]] = [
        ("bid_response", record.bid_response, run.response),
        ("report", _decided(record.report), _decided(full)),
    ]
    return [
        difference
        for path, recorded, replayed in pairs
        if _bytes(recorded) != _bytes(replayed)
        for difference in _explained(path, recorded, replayed)
    ]


def same_answer(record: AuctionRecord, run: AuctionRun) -> bool:
    """Whether the response is the recorded one, byte for byte; much quicker than `differences`.

    Args:
        record: the record.
        run: the auction, run again.
    """
    return _bytes(record.bid_response) == _bytes(run.response)


def _decided(told: AuctionReport) -> AuctionReport:
    """A report of what the auction decided: without bidders that were not asked, and times."""
    kept = AuctionReport()
    kept.CopyFrom(told)
    asked = [bidder for bidder in kept.bidders if bidder.asked]
    del kept.bidders[:]
    kept.bidders.extend(asked)
    bids = [bid for bidder in kept.bidders for bid in bidder.bids]
    parts: list[Message] = [kept, *kept.bidders, *bids, *kept.pods]
    for part in parts:
        for name in _NOT_DECIDED[part.DESCRIPTOR.name]:
            part.ClearField(name)
    return kept


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _explained(path: str, recorded: Message, replayed: Message) -> list[Difference]:
    """Field by field; as wholes where no field differs, as with two values that are not numbers."""
    found = list(_in_message(path, recorded, replayed))
    if found:
        return found
    lengths = [f"{message.ByteSize()} bytes" for message in (recorded, replayed)]
    return [Difference(path, f"{lengths[0]}, equal field by field", lengths[1])]


def _in_message(path: str, recorded: Message, replayed: Message) -> Iterator[Difference]:
    for field in cast(list[FieldDescriptor], recorded.DESCRIPTOR.fields):
        where = f"{path}.{field.name}"
        values = getattr(recorded, field.name), getattr(replayed, field.name)
        if field.is_repeated:
            yield from _in_list(where, field, *values)
        elif field.has_presence and not (
            recorded.HasField(field.name) and replayed.HasField(field.name)
        ):
            texts = [
                _text(field, value) if message.HasField(field.name) else "absent"
                for message, value in zip((recorded, replayed), values, strict=True)
            ]
            if texts[0] != texts[1]:
                yield Difference(where, *texts)
        else:
            yield from _in_value(where, field, *values)


def _in_list(
    path: str, field: FieldDescriptor, recorded: Sequence[Any], replayed: Sequence[Any]
) -> Iterator[Difference]:
    for index in range(max(len(recorded), len(replayed))):
        if index >= len(recorded):
            value = replayed[index]
            yield Difference(_entry(path, index, value), "absent", _text(field, value))
        elif index >= len(replayed):
            value = recorded[index]
            yield Difference(_entry(path, index, value), _text(field, value), "absent")
        else:
            where = _entry(path, index, recorded[index])
            yield from _in_value(where, field, recorded[index], replayed[index])


def _in_value(
    path: str, field: FieldDescriptor, recorded: Any, replayed: Any
) -> Iterator[Difference]:
    if field.message_type is not None:
        yield from _in_message(path, recorded, replayed)
    elif recorded != replayed:
        yield Difference(path, _text(field, recorded), _text(field, replayed))


def _entry(path: str, index: int, value: Any) -> str:
    name = _NAMES.get(value.DESCRIPTOR.name) if isinstance(value, Message) else None
    return f"{path}[{index if name is None else getattr(value, name)}]"


def _text(field: FieldDescriptor, value: Any) -> str:
    """A value on one line, cut where it is long."""
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    text = " ".join(str(value).split()) if field.message_type is not None else repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
