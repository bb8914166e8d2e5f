"""Notices about bids: what the server sends after an auction, and what callers tell by Notify.

Every auction leaves the facts of its bids in a bounded ledger. From there the server sends win and
loss notices after the answer, or hands them to the caller with macros filled; and when a caller
tells that a bid was billed, won or lost, its URL is found, filled with what was told, and sent.
What is told of a bid counts once:

    told now     after win   after billing   after loss
    win          replayed    taken           NOTICE_CONFLICT
    billing      taken       replayed        NOTICE_CONFLICT
    loss         taken       NOTICE_CONFLICT replayed

Billing commits what is held for the bid and a loss releases it, before the URL is sent: a notice
that can't reach the store is not taken, and can be told again.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from xsp.bid.v1 import notice_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import NoticeDelivery
from xsp.bid.v1.bid_service_pb2 import NotifyRequest, NotifyResponse
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.rpc.v1.status_pb2 import Status
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp.state.v1.state_service_pb2 import ReservationCommit
from xsp_server.auction import macros
from xsp_server.errors import (
    CurrencyMismatch,
    CurrencyUnknown,
    DuplicateId,
    InvalidField,
    MissingField,
    NotBuilt,
    RequestEmpty,
    RetryableError,
    TooManyItems,
    Violation,
    XspError,
)
from xsp_server.openrtb import money
from xsp_server.service.bid_ledger import (
    FIELDS,
    Action,
    AuctionFacts,
    BidFacts,
    BidLedger,
    BidNotFound,
    LedgerBid,
    win_gets_markup,
)
from xsp_server.service.held import Held
from xsp_server.service.once import Once
from xsp_server.service.request_ids import Answers, check_request_id
from xsp_server.service.status import Context, to_status
from xsp_server.state.reservations import Item
from xsp_server.upstream.guard import AddressRefused, parse
from xsp_server.upstream.notices import Notice, NoticeKind, NoticeSender, NoticeSettings

MAX_NOTICES = 1000
"""In one call."""
EXPIRED = 2
"""AdCOM Loss Reason Code: impression opportunity expired."""

SERVER = NoticeDelivery.NOTICE_DELIVERY_SERVER
CALLER = NoticeDelivery.NOTICE_DELIVERY_CALLER
_DELIVERIES = frozenset(NoticeDelivery.values())

Milliseconds = Callable[[], int]


def withheld(response: BidResponse) -> BidResponse:
    """An answer without notice URLs, for callers of a server that sends the notices itself.

    A `nurl` whose reply is the markup stays: whoever fetches the markup tells the win. The answer
    itself stays as it is, for records; one that has nothing to take out is given back.
    """
    if not any(
        bid.nurl or bid.burl or bid.lurl for seatbid in response.seatbid for bid in seatbid.bid
    ):
        return response
    told = BidResponse()
    told.CopyFrom(response)
    for seatbid in told.seatbid:
        for bid in seatbid.bid:
            for kind, name in FIELDS:
                if kind is not NoticeKind.WIN or not win_gets_markup(bid):
                    bid.ClearField(name)
    return told


class Resolves(Protocol):
    """What holds money and impressions for winners: `Reservations`."""

    async def commit(self, commits: Sequence[ReservationCommit]) -> list[Item]:
        """See `Reservations.commit`."""

    async def release(self, ids: Sequence[str]) -> list[Item]:
        """See `Reservations.release`."""


class Notices:
    """The notices of a server: after its auctions, and by its callers' word."""

    def __init__(  # noqa: PLR0913 - the sender, and the rest by name
        self,
        sender: NoticeSender,
        settings: NoticeSettings | None = None,
        *,
        headers_of: Callable[[SessionContext], Mapping[str, str]] | None = None,
        reservations: Resolves | None = None,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Milliseconds = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Starts with an empty ledger.

        Args:
            sender: sends them.
            settings: who sends them by default, and how much is remembered for how long.
            headers_of: what goes along of a session that a call brings; nothing by default.
            reservations: what was held for winners; None: nothing ever is.
            clock: seconds, monotonic.
            now_ms: milliseconds since 1970.
        """
        settings = settings or NoticeSettings()
        self._sender = sender
        self._default = SERVER if settings.delivery == "server" else CALLER
        self._headers_of = headers_of
        self._reservations = reservations
        self._now_ms = now_ms
        self._ledger = BidLedger(settings.keep_bids, settings.keep_seconds, clock)
        self._once = Once(Answers(NotifyResponse, settings.keep_seconds, clock))

    def delivery(self, option: NoticeDelivery.ValueType) -> NoticeDelivery.ValueType:
        """Who sends the notices of an auction: as its options say, else as the server is set.

        Raises:
            InvalidField: the option is none of the contract's.
        """
        if option not in _DELIVERIES:
            raise InvalidField("options.notice_delivery", f"got {option}; expected 0 to 2")
        return option or self._default

    def send_for(self, auction: AuctionFacts) -> None:
        """Sends win and loss notices of an auction, and remembers its bids. After the answer.

        A notice that finds the queue full is dropped and counted by the sender.
        """
        for bid in self._ledger.put(auction, SERVER):
            kind = _WIN if bid.facts.won else _LOSS
            if not bid.facts.urls:
                bid.note(kind, _NO_URL)
            elif not (kind is _WIN and bid.facts.win_gets_markup):
                try:
                    self._tell(bid, kind)
                except RetryableError:
                    continue

    def prepare_for(self, auction: AuctionFacts) -> list[pb.PreparedNotice]:
        """The notices that the caller is to send, for the answer; remembers the bids.

        A URL that is no http(s) URL is left out. Whether the caller may reach it, it has to know.
        """
        notices = []
        for bid in self._ledger.put(auction, CALLER):
            for kind in _TO_PREPARE[bid.facts.won]:
                if not (kind is NoticeKind.WIN and bid.facts.win_gets_markup):
                    action, url = _for_caller(_fill(bid.facts, kind))
                    if action == pb.NOTICE_ACTION_RETURNED:
                        notices.append(pb.PreparedNotice(type=_TYPES[kind], bid=bid.key, url=url))
        return notices

    async def notify(self, request: NotifyRequest, _context: Context) -> NotifyResponse:
        """BidService.Notify: takes notices, each with a result of its own.

        Raises:
            RequestIdInvalid: `request_id` is none.
            RequestIdReused: it came before with other content.
            RequestEmpty: there are no notices.
            TooManyItems: there are more than 1000.
            MissingField: a notice has no `notice_id`.
            DuplicateId: two notices share one.
        """
        check_request_id(request.request_id)

        async def take() -> NotifyResponse:
            _check_notices(request.notices)
            headers = None
            if self._headers_of is not None and request.HasField("session"):
                headers = self._headers_of(request.session)
            return NotifyResponse(results=await self._take_all(request.notices, headers))

        return await self._once.answer(request.request_id, request, take, _is_final)

    async def _take_all(
        self, notices: Sequence[pb.Notice], headers: Mapping[str, str] | None
    ) -> list[pb.NoticeResult]:
        """What becomes of notices: those of one reservation in turn, reservations side by side."""
        results = [pb.NoticeResult(notice_id=notice.notice_id) for notice in notices]
        waiting: dict[str, list[int]] = {}
        for index, notice in enumerate(notices):
            reservation_id = self._concerns(notice)
            if reservation_id:
                waiting.setdefault(reservation_id, []).append(index)
            else:
                with _told_in(results[index]):
                    self._take(f"notices[{index}]", notice, headers, results[index])

        async def in_turn(reservation_id: str, indexes: Sequence[int]) -> None:
            for index in indexes:
                path, notice, result = f"notices[{index}]", notices[index], results[index]
                with _told_in(result):
                    if notice.type in _RESOLVE:
                        await self._resolve(path, notice, reservation_id, result)
                    self._take(path, notice, headers, result)

        if waiting:
            await asyncio.gather(*(in_turn(*each) for each in waiting.items()))
        return results

    def _take(
        self,
        path: str,
        notice: pb.Notice,
        headers: Mapping[str, str] | None,
        result: pb.NoticeResult,
    ) -> None:
        """Does what one notice asks for, once.

        Raises:
            XspError: it can't be taken.
        """
        told = _read(notice, path, self._now_ms, built=self._reservations is not None)
        bid = self._ledger.find(notice.bid, path)
        _check_currency(told, bid.facts, path)
        kind = _KINDS[notice.type]
        result.replayed = kind in bid.told
        if not result.replayed:
            _check_conflict(bid, kind, path)
            self._tell(bid, kind, told, headers)
        result.action, result.url = bid.told[kind]

    def _concerns(self, notice: pb.Notice) -> str:
        """Id of the reservation in whose turn a notice is taken; empty: none."""
        if self._reservations is None:
            return ""
        if notice.reservation_id and notice.type in _RESOLVE:
            return notice.reservation_id
        try:
            held = self._ledger.find(notice.bid, "").facts.held
        except XspError:  # which is told when it is taken
            return ""
        return "" if held is None else held.reservation_id

    async def _resolve(
        self, path: str, notice: pb.Notice, reservation_id: str, result: pb.NoticeResult
    ) -> None:
        """Commits or releases what is held, unless the notice was taken before.

        A reservation that the notice names is resolved although nobody knows the bid any more.

        Raises:
            XspError: the notice can't be, or the reservation can't be resolved so.
        """
        told = _read(notice, path, self._now_ms, built=True)
        held: Held | None = None
        try:
            bid = self._ledger.find(notice.bid, path)
        except BidNotFound:
            if not notice.reservation_id:
                raise
        else:
            _check_currency(told, bid.facts, path)
            if _KINDS[notice.type] in bid.told:
                return
            _check_conflict(bid, _KINDS[notice.type], path)
            if bid.facts.held is not None and bid.facts.held.reservation_id == reservation_id:
                held = bid.facts.held
        assert self._reservations is not None  # noqa: S101 - `_concerns` gave an id
        if notice.type == pb.NOTICE_TYPE_LOSS:
            [item] = await self._reservations.release([reservation_id])
        else:
            commit = _commit(reservation_id, told, held, path)
            [item] = await self._reservations.commit([commit])
        if isinstance(item, tuple):
            raise item[1]
        result.reservation.CopyFrom(item)

    def _tell(
        self,
        bid: LedgerBid,
        kind: NoticeKind,
        told: "Told | None" = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Sends a notice or says that the caller is to, and notes in the ledger that it was told.

        Raises:
            NoticeQueueFull: it can't be sent now; nothing is noted.
            Unavailable: the server is stopping; likewise.
        """
        facts, auction = bid.facts, bid.auction
        url = _fill(facts, kind, told)
        if not url:
            outcome = _NO_URL
        elif auction.delivery == CALLER or (kind is NoticeKind.WIN and facts.win_gets_markup):
            outcome = _for_caller(url)
        else:
            outcome = pb.NOTICE_ACTION_QUEUED, ""
            headers = auction.headers if headers is None else headers
            try:
                self._sender.send(Notice(auction.id, facts.bidder, facts.path, kind, url, headers))
            except AddressRefused:
                outcome = pb.NOTICE_ACTION_REFUSED, ""
        bid.note(kind, outcome)


def _commit(reservation_id: str, told: "Told", held: Held | None, path: str) -> ReservationCommit:
    """What a billing notice commits: what was told, else the clearing price, else all that is held.

    It may be more than is held, if the money remains.

    Raises:
        InvalidField: the price is more of the campaign's currency than can be told.
    """
    commit = ReservationCommit(reservation_id=reservation_id, allow_more=True)
    if held is not None and held.currency:
        price, impressions = told.price, told.impressions
        cpm_micros = held.cpm_micros if price is None else held.cpm_of(price)
        if cpm_micros > _INT64_MAX:
            problem = f"expected at most {_INT64_MAX} in {held.currency}, got {cpm_micros}"
            raise InvalidField(f"{path}.price.micros", problem)
        commit.cpm.cpm.currency = held.currency
        commit.cpm.cpm.micros = cpm_micros
        commit.cpm.impressions_micros = (
            held.impressions_micros if impressions is None else money.to_micros(impressions)
        )
    elif held is None and told.price is not None:
        commit.cpm.cpm.currency = told.currency
        commit.cpm.cpm.micros = money.to_micros(told.price)
        if told.impressions is not None:
            commit.cpm.impressions_micros = money.to_micros(told.impressions)
    return commit


@contextmanager
def _told_in(result: pb.NoticeResult) -> Iterator[None]:
    """A failure within becomes the status of one notice."""
    try:
        yield
    except XspError as error:
        result.status.CopyFrom(Status.FromString(to_status(error).SerializeToString()))


class NoticeConflict(XspError):
    """A notice contradicts an earlier one for the same bid."""

    status = "FAILED_PRECONDITION"
    reason = "NOTICE_CONFLICT"


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller tells besides the kind.

    Attributes:
        price: clearing price, CPM; None: as the auction decided.
        currency: of it.
        loss_reason: AdCOM Loss Reason Code; None: as the auction decided.
        at_ms: when it happened, ms since 1970.
        impressions: how many it counts for; None: as the auction decided.
    """

    price: Fraction | None
    currency: str
    loss_reason: int | None
    at_ms: int
    impressions: Fraction | None


def _read(notice: pb.Notice, path: str, now_ms: Milliseconds, *, built: bool) -> Told:
    """What a notice tells.

    Args:
        notice: the notice.
        path: where it is in the request.
        now_ms: the time.
        built: whether there are reservations.

    Raises:
        InvalidRequest: a field is missing, or has a value that it can't have.
        NotBuilt: it names a reservation, and the server keeps no state.
    """
    for name, problem in _problems(notice):
        raise InvalidField(f"{path}.{name}", problem)
    for name, expected in _missing(notice):
        raise MissingField(f"{path}.{name}", expected)
    if notice.HasField("price") and not _CURRENCY.fullmatch(notice.price.currency):
        found = repr(notice.price.currency[:20])
        problem = f"expected an ISO 4217 code such as USD, got {found}"
        raise CurrencyUnknown(Violation(f"{path}.price.currency", problem))
    if notice.reservation_id and not built:
        what = f"{path}.reservation_id"
        raise NotBuilt(f"{what}: reservations are in the contract but not built yet", what=what)
    told_price, told_count = notice.HasField("price"), notice.HasField("impressions_micros")
    return Told(
        price=Fraction(notice.price.micros, money.MICROS) if told_price else None,
        currency=notice.price.currency,
        loss_reason=notice.loss_reason if notice.HasField("loss_reason") else None,
        at_ms=notice.event_time.ToMilliseconds() if notice.HasField("event_time") else now_ms(),
        impressions=Fraction(notice.impressions_micros, money.MICROS) if told_count else None,
    )


def _missing(notice: pb.Notice) -> Iterator[tuple[str, str]]:
    if not notice.type:
        yield "type", "win, billing or loss"
    if not notice.bid.bid_id:
        yield "bid.bid_id", "the OpenRTB Bid.id"
    if not (notice.bid.auction_id or notice.bid.openrtb_request_id):
        yield "bid.auction_id", "it, or openrtb_request_id"


def _problems(notice: pb.Notice) -> Iterator[tuple[str, str]]:
    """Fields that can't be so, with what was expected."""
    if notice.type and notice.type not in _KINDS:
        yield "type", f"expected 1 (win), 2 (billing) or 3 (loss), got {notice.type}"
    if notice.price.micros < 0:
        yield "price.micros", f"expected 0 or more, got {notice.price.micros}"
    if notice.HasField("loss_reason") and notice.type != pb.NOTICE_TYPE_LOSS:
        yield "loss_reason", "expected it with a loss alone"
    if notice.loss_reason < 0:
        yield "loss_reason", f"expected a code from 0 up, got {notice.loss_reason}"
    if notice.HasField("impressions_micros") and notice.impressions_micros < 1:
        yield "impressions_micros", f"expected more than 0, got {notice.impressions_micros}"
    if not _FIRST_SECOND <= notice.event_time.seconds <= _LAST_SECOND:
        yield "event_time", "expected a time from year 1 to 9999"
    if not 0 <= notice.event_time.nanos < 1_000_000_000:
        yield "event_time", "expected nanos from 0 to 999999999"


_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_CURRENCY = re.compile("[A-Z]{3}")


def _check_currency(told: Told, bid: BidFacts, path: str) -> None:
    if told.price is not None and told.currency != bid.currency:
        where = f"{path}.price.currency"
        raise CurrencyMismatch(where, bid.currency, told.currency, "the bid's")


def _check_conflict(bid: LedgerBid, kind: NoticeKind, path: str) -> None:
    for earlier in _CONTRADICTS[kind]:
        if earlier in bid.told:
            raise NoticeConflict(
                f"{path}: {kind} of a bid of which {earlier} was told before; expected nothing "
                "that contradicts it",
                earlier=pb.NoticeType.Name(_TYPES[earlier]),
            )


_WIN, _LOSS = NoticeKind.WIN, NoticeKind.LOSS  # which Python 3.11 takes 8 times as long to find
_NO_URL: Action = (pb.NOTICE_ACTION_NO_URL, "")
_TYPES = {
    NoticeKind.WIN: pb.NOTICE_TYPE_WIN,
    NoticeKind.BILLING: pb.NOTICE_TYPE_BILLING,
    NoticeKind.LOSS: pb.NOTICE_TYPE_LOSS,
}
_KINDS = {type_: kind for kind, type_ in _TYPES.items()}
_RESOLVE = frozenset({pb.NOTICE_TYPE_BILLING, pb.NOTICE_TYPE_LOSS})
"""Kinds of notices that resolve what is held."""
_PASSING = frozenset({8, 14})  # google.rpc.Code
"""RESOURCE_EXHAUSTED and UNAVAILABLE: the same call may succeed later, so it is not remembered."""

_INT64_MAX = 2**63 - 1
_TO_PREPARE = {True: (NoticeKind.WIN, NoticeKind.BILLING), False: (NoticeKind.LOSS,)}
"""Which notices a caller is handed, by whether the bid won."""
_CONTRADICTS = {
    NoticeKind.WIN: (NoticeKind.LOSS,),
    NoticeKind.BILLING: (NoticeKind.LOSS,),
    NoticeKind.LOSS: (NoticeKind.BILLING,),
}


def _is_final(answer: NotifyResponse) -> bool:
    """Whether the same call would come to the same."""
    return not any(each.status.code in _PASSING for each in answer.results)


def _for_caller(url: str) -> Action:
    """Hands a URL to the caller in the form in which it can be requested."""
    try:
        return pb.NOTICE_ACTION_RETURNED, parse(url).url
    except AddressRefused:
        return pb.NOTICE_ACTION_REFUSED, ""


def _fill(bid: BidFacts, kind: NoticeKind, told: Told | None = None) -> str:
    """A notice URL with its macros filled; empty: the bid has none."""
    url = bid.urls.get(kind, "")
    return macros.fill(url, _values(bid, kind, told)) if "${" in url else url


def _values(bid: BidFacts, kind: NoticeKind, told: Told | None) -> macros.Values:
    """The values that the auction gave, with what the kind and the caller say otherwise."""
    values = dict(bid.values)
    if kind is NoticeKind.LOSS:
        values["AUCTION_PRICE"] = values["AUCTION_MBR"] = None  # not told to who lost
        if bid.won:
            values["AUCTION_LOSS"] = str(EXPIRED)
    else:
        values["AUCTION_LOSS"] = "0"
    if told is None:
        return values
    if told.price is not None:
        values["AUCTION_PRICE"] = _decimal(told.price)
        values["AUCTION_MBR"] = _decimal(told.price / bid.price) if bid.price else None
    if told.loss_reason is not None:
        values["AUCTION_LOSS"] = str(told.loss_reason)
    if kind is NoticeKind.BILLING:
        values["AUCTION_IMP_TS"] = str(told.at_ms)
    if told.impressions is not None:
        values["AUCTION_MULTIPLIER"] = _decimal(told.impressions, places=0)
    elif kind is not NoticeKind.LOSS and values.get("AUCTION_MULTIPLIER") is None:
        values["AUCTION_MULTIPLIER"] = "1"
    return values


def _decimal(amount: Fraction, places: int = 2) -> str:
    """A decimal with up to six places, and at least `places`, as all macros have them."""
    whole, _, part = money.to_text(amount).partition(".")
    part = part.rstrip("0").ljust(places, "0")
    return f"{whole}.{part}" if part else whole


def _check_notices(notices: Sequence[pb.Notice]) -> None:
    if not notices:
        raise RequestEmpty(Violation("notices", f"empty; expected 1 to {MAX_NOTICES}"))
    if len(notices) > MAX_NOTICES:
        raise TooManyItems(
            f"notices: expected at most {MAX_NOTICES}, got {len(notices)}", limit=MAX_NOTICES
        )
    places: dict[str, int] = {}
    for index, notice in enumerate(notices):
        path = f"notices[{index}].notice_id"
        if not notice.notice_id:
            raise MissingField(path, "an id of the client's own, unique within the call")
        first = places.setdefault(notice.notice_id, index)
        if first != index:
            raise DuplicateId("notices", first, index, ".notice_id")
