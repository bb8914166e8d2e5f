"""Auction records: all that went into one auction and what came out of it, as one message.

`record` makes one; `rules_of`, `answer_form_of` and `replies_of` read back what the auction went
by. Both ways are exact: what the message can't hold is refused, never rounded.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from functools import lru_cache
from typing import Any

from google.protobuf.duration_pb2 import Duration

from xsp.bid.v1 import auction_record_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.auction_report_pb2 import AuctionReport, BidderOutcome, BidderReport
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_server.auction import Rules
from xsp_server.errors import XspError
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.exchange import AnswerForm, AuctionRun

FORMAT_VERSION = 1
"""The version that is written, and the greatest that is read."""

_OUTCOMES = {outcome: BidderOutcome.Value(f"BIDDER_OUTCOME_{outcome.name}") for outcome in Outcome}
_BY_OUTCOME = {value: outcome for outcome, value in _OUTCOMES.items()}


class RecordError(XspError):
    """A record can't be written, read or replayed; the message says which, and why."""


def record(
    run: AuctionRun,
    report: AuctionReport,
    server_version: str,
    *,
    session: SessionContext | None = None,
    options: AuctionOptions | None = None,
) -> pb.AuctionRecord:
    """The record of one auction.

    The request is held as it was judged. `seed` stays 0, as there is no chance in an auction; the
    texts of request and replies (`bid_request_json`, `raw`) stay empty, as an auction takes
    messages.

    Args:
        run: the auction.
        report: its report at level FULL, which names the auction.
        server_version: of the server that ran it, as `0.3.0`.
        session: the session it belongs to, as filled in; None: none.
        options: what its caller asked for; None: nothing.

    Raises:
        RecordError: the report leaves something out, or a time isn't in whole microseconds.
    """
    if report.level != ExplainLevel.EXPLAIN_LEVEL_FULL:
        level = ExplainLevel.Name(report.level)
        raise RecordError(f"report.level: got {level}; expected EXPLAIN_LEVEL_FULL")
    made = pb.AuctionRecord(
        format_version=FORMAT_VERSION,
        auction_id=report.auction_id,
        server_version=server_version,
        bid_request=run.request,
        session=session,
        options=options,
        deadline=_duration("deadline_ms", run.rules.deadline_ms),
        rules=rules_in_force(run.rules, run.form),
        replies=_recorded_replies(run, report),
        state=run.state,
        bid_response=run.response,
        report=report,
    )
    made.clock.FromDatetime(run.started_at)
    made.report.rules_digest = made.rules.digest
    return made


def rules_in_force(rules: Rules, form: AnswerForm) -> pb.RulesInForce:
    """The settings that made the answer, by the sections and names of the settings file.

    Without the deadline, which differs by auction: a record tells it apart.

    Args:
        rules: that held.
        form: how the answer is written.
    """
    sections = {"auction": asdict(form), "rules": replace(rules, deadline_ms=None).to_mapping()}
    text = json.dumps(sections, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return pb.RulesInForce(format=pb.RULES_FORMAT_JSON, text=text, digest=_digest(text))


def rules_of(recorded: pb.AuctionRecord) -> Rules:
    """The rules that held, the deadline among them.

    Raises:
        RecordError: the text is missing, is not of its digest, or can't be read.
        ConfigError: it has a rule that this version doesn't know.
    """
    rules, _ = _settings_of(recorded)
    if not recorded.HasField("deadline"):
        return rules
    return replace(rules, deadline_ms=_milliseconds(recorded.deadline))


def answer_form_of(recorded: pb.AuctionRecord) -> AnswerForm:
    """How the answer was written.

    Raises:
        RecordError, ConfigError: as `rules_of`.
    """
    _, form = _settings_of(recorded)
    return form


def replies_of(recorded: pb.AuctionRecord) -> list[Reply]:
    """What the auction read of every bidder that was asked, in the order of their names.

    What calls tell besides (attempts, statuses of transports) is in the report.

    Raises:
        RecordError: a bidder's outcome is none that asking can have.
    """
    return [
        _reply(reply, f"replies[{index}]")
        for index, reply in enumerate(recorded.replies)
        if reply.outcome != BidderOutcome.BIDDER_OUTCOME_UNSPECIFIED
    ]


def _recorded_replies(run: AuctionRun, report: AuctionReport) -> Iterator[pb.RecordedReply]:
    """By the report, which has every bidder in the order of names, asked or not."""
    replies = {reply.bidder: reply for reply in run.replies}
    for bidder in report.bidders:
        yield _recorded_reply(bidder, replies.pop(bidder.bidder, None))
    if replies:
        raise RecordError(f"the report lacks the bidders {', '.join(sorted(replies))}")


def _recorded_reply(bidder: BidderReport, reply: Reply | None) -> pb.RecordedReply:
    if reply is None:
        return pb.RecordedReply(bidder=bidder.bidder, skip_reason=bidder.skip_reason)
    return pb.RecordedReply(
        bidder=reply.bidder,
        imp_ids=bidder.imp_ids,
        arrival=_duration(f"arrival of {reply.bidder}", reply.arrived_ms),
        outcome=_OUTCOMES[reply.outcome],
        detail=reply.detail,
        response=reply.response,
    )


def _reply(recorded: pb.RecordedReply, where: str) -> Reply:
    outcome = _BY_OUTCOME.get(recorded.outcome)
    if outcome is None:
        known = ", ".join(BidderOutcome.Name(value) for value in _BY_OUTCOME)
        raise RecordError(f"{where}.outcome: got {recorded.outcome}; expected one of {known}")
    return Reply(
        bidder=recorded.bidder,
        outcome=outcome,
        arrived_ms=_milliseconds(recorded.arrival) if recorded.HasField("arrival") else None,
        response=recorded.response if recorded.HasField("response") else None,
        detail=recorded.detail,
    )


def _duration(name: str, milliseconds: float | None) -> Duration | None:
    """Exactly: Reply and Rules hold times in ms with three decimals."""
    if milliseconds is None:
        return None
    duration = Duration()
    try:
        duration.FromMicroseconds(round(milliseconds * 1000))
    except (ValueError, OverflowError):  # not finite, or longer than a Duration
        duration.Clear()
    if _milliseconds(duration) != milliseconds:
        raise RecordError(f"{name}: got {milliseconds} ms; expected whole microseconds")
    return duration


def _milliseconds(duration: Duration) -> float:
    """The double that a decimal with three places names, as rounding to three places gives it."""
    return duration.ToMicroseconds() / 1000


_READERS: Mapping[int, Callable[[str], Any]] = {
    pb.RULES_FORMAT_JSON: json.loads,
    pb.RULES_FORMAT_TOML: tomllib.loads,
}


def _settings_of(recorded: pb.AuctionRecord) -> tuple[Rules, AnswerForm]:
    return _read_settings(recorded.rules.format, recorded.rules.text, recorded.rules.digest)


@lru_cache(maxsize=16)  # records that follow each other have the same settings
def _read_settings(text_format: int, text: str, digest: str) -> tuple[Rules, AnswerForm]:
    if not text:
        raise RecordError("rules.text: empty; expected the rules")
    if _digest(text) != digest:
        raise RecordError(f'rules.digest: got "{digest}"; the text has "{_digest(text)}"')
    reader = _READERS.get(text_format)
    if reader is None:
        raise RecordError(f"rules.format: got {text_format}; expected JSON or TOML")
    try:
        sections = reader(text)
    except ValueError as error:
        raise RecordError(f"rules.text: {error}") from None
    if not isinstance(sections, dict) or not isinstance(sections.get("rules"), dict):
        raise RecordError("rules.text: expected a section rules")
    return Rules.from_mapping(sections["rules"]), _read_form(sections.get("auction", {}))


def _read_form(section: Any) -> AnswerForm:
    known = {field.name for field in fields(AnswerForm)}
    if not isinstance(section, dict) or not section.keys() <= known:
        raise RecordError(
            f"rules.text: auction: got {section!r}; expected {' and '.join(sorted(known))}"
        )
    return AnswerForm(**section)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
