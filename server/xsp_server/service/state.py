"""StateService: caps, campaigns, budgets and reservations over gRPC."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from xsp.rpc.v1.status_pb2 import Status
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.budget_pb2 import BudgetChange, ReservationResult
from xsp.state.v1.campaign_key_pb2 import CampaignKey
from xsp.state.v1.campaign_pb2 import Campaign
from xsp.state.v1.frequency_pb2 import FrequencyResult
from xsp.state.v1.guarantee_pb2 import DecisionBasis, DecisionSource
from xsp_server.errors import MissingField, XspError
from xsp_server.service.once import Once
from xsp_server.service.request_ids import Answers, check_request_id, content_of
from xsp_server.service.status import Context, to_status
from xsp_server.state.accounts import Accounts
from xsp_server.state.answered import Answered
from xsp_server.state.backend import StoreAway
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.faults import (
    CampaignHasReservations,
    CampaignNotFound,
    InvalidField,
    check_distinct,
    check_number,
)
from xsp_server.state.messages import HOUR_MS, ms_of
from xsp_server.state.reservations import MAX_RESERVATIONS
from xsp_server.state.watch import Watch

MAX_WATCHED: Final = 10_000
WATCH_BATCH: Final = 500
"""Most changes in one message of a watch."""
DEFAULT_INTERVAL_MS: Final = 100

Answer = TypeVar("Answer", bound=Message)
Result = TypeVar("Result", FrequencyResult, ReservationResult)
_Rare = pb.PutCampaignRequest | pb.DeleteCampaignRequest | pb.ResetFrequencyRequest

_ANSWER: Final = "answer"
_PLAN: Final = "plan"
"""What the store keeps of rare calls: the answer, and what it will be, before the last step."""


class StateServicer:
    """The methods of xsp.state.v1.StateService over one store."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        keep_ms: int = HOUR_MS,
        poll_seconds: float = 0.1,
        silence_ms: int = 30_000,
    ) -> None:
        """Takes the store, which its owner closes.

        Args:
            accounts: of the store.
            keep_ms: how long request ids are known.
            poll_seconds: how soon a watch sees what other processes changed; what this one
                changed it sees at once.
            silence_ms: after which a watch says that it is alive.
        """
        self.campaigns = accounts.campaigns
        self.caps = accounts.caps
        self.budgets = accounts.budgets
        self.reservations = accounts.reservations
        self._backend = accounts.backend
        self._clock = accounts.clock
        self._keep_ms = keep_ms
        self._poll_seconds = poll_seconds
        self._silence_ms = silence_ms
        self._calls: dict[type[Message], tuple[Answers[Any], dict[str, bytes]]] = {}
        self._puts = Once(self._remembered(pb.PutCampaignResponse))
        self._deletions = Once(self._remembered(pb.DeleteCampaignResponse))
        self._resets = Once(self._remembered(pb.ResetFrequencyResponse))
        self._answered = Answered(accounts.backend, accounts.clock, keep_ms)
        self._watchers: set[asyncio.Event] = set()

    async def PutCampaign(  # noqa: N802
        self, request: pb.PutCampaignRequest, _context: Context
    ) -> pb.PutCampaignResponse:
        """Creates or replaces a campaign; errors are those of `Campaigns.put`."""

        async def put() -> pb.PutCampaignResponse:
            if not request.HasField("campaign"):
                raise MissingField("campaign", "the campaign to put")
            expected = request.expected_revision if request.HasField("expected_revision") else None
            campaign, created = await self.campaigns.put(
                request.campaign, request.request_id, expected
            )
            return pb.PutCampaignResponse(campaign=campaign, created=created)

        return await self._once_for_all(
            request, self._puts, lambda: self._kept(request, pb.PutCampaignResponse, put)
        )

    async def GetCampaign(  # noqa: N802
        self, request: pb.GetCampaignRequest, _context: Context
    ) -> pb.GetCampaignResponse:
        """Reads one campaign; errors are those of `Campaigns.read`."""
        settings = await self.campaigns.read(*_named(request))
        return pb.GetCampaignResponse(campaign=settings.message)

    async def ListCampaigns(  # noqa: N802
        self, request: pb.ListCampaignsRequest, _context: Context
    ) -> pb.ListCampaignsResponse:
        """Lists campaigns; errors are those of `Campaigns.page`."""
        campaigns, token = await self.campaigns.page(
            size=request.page_size,
            token=request.page_token,
            seat=request.seat if request.HasField("seat") else None,
            parent_id=request.parent_id if request.HasField("parent_id") else None,
            status=request.status,
        )
        return pb.ListCampaignsResponse(campaigns=campaigns, next_page_token=token)

    async def DeleteCampaign(  # noqa: N802
        self, request: pb.DeleteCampaignRequest, _context: Context
    ) -> pb.DeleteCampaignResponse:
        """Deletes a campaign; errors are those of `Campaigns.delete`.

        Raises:
            CampaignHasReservations: some are held, and are not to be released.
        """
        released = 0

        def answer_of(campaign: Campaign) -> pb.DeleteCampaignResponse:
            return pb.DeleteCampaignResponse(campaign=campaign, released_reservations=released)

        async def release(settings: Settings) -> None:
            nonlocal released
            released += await self._release_all(settings, may=request.release_reservations)
            await self._keep(_PLAN, request, answer_of(settings.message))

        async def delete() -> pb.DeleteCampaignResponse:
            if not request.campaign_id:
                raise MissingField("campaign_id", "the id of the campaign to delete")
            expected = request.expected_revision if request.HasField("expected_revision") else None
            try:
                return answer_of(
                    await self.campaigns.delete(request.campaign_id, expected, release)
                )
            except CampaignNotFound:
                # By this call itself, cut off before it answered, or by the same at another server.
                planned = await self._answered.find(_PLAN, request.request_id, request)
                if planned is None:
                    raise
                return pb.DeleteCampaignResponse.FromString(planned)

        return await self._once_for_all(
            request, self._deletions, lambda: self._kept(request, pb.DeleteCampaignResponse, delete)
        )

    async def _release_all(self, settings: Settings, *, may: bool) -> int:
        """Releases what is held of a campaign; how many reservations."""
        held = await self.reservations.held_by(settings)
        if held and not may:
            raise CampaignHasReservations(
                f"{settings.id} has {len(held)} held reservations, such as {held[0]}; "
                "release them first, or set release_reservations"
            )
        for start in range(0, len(held), MAX_RESERVATIONS):
            await self.reservations.release(held[start : start + MAX_RESERVATIONS])
        return len(held)

    async def CheckFrequency(  # noqa: N802
        self, request: pb.CheckFrequencyRequest, _context: Context
    ) -> pb.CheckFrequencyResponse:
        """Says which candidates the caps allow; errors are those of `Caps.check`."""
        items = await self.caps.check(request)
        return pb.CheckFrequencyResponse(results=[_frequency(each) for each in items])

    async def CheckAndIncrementFrequency(  # noqa: N802
        self, request: pb.CheckAndIncrementFrequencyRequest, _context: Context
    ) -> pb.CheckAndIncrementFrequencyResponse:
        """Counts what the caps allow; errors are those of `Caps.check_and_increment`."""
        content = content_of(request)

        async def count() -> pb.CheckAndIncrementFrequencyResponse:
            items, replayed = await self.caps.check_and_increment(request, content)
            return pb.CheckAndIncrementFrequencyResponse(
                results=[_frequency(each) for each in items], replayed=replayed
            )

        return await self._once(request, pb.CheckAndIncrementFrequencyResponse, count, content)

    async def RecordFrequency(  # noqa: N802
        self, request: pb.RecordFrequencyRequest, _context: Context
    ) -> pb.RecordFrequencyResponse:
        """Counts what happened; errors are those of `Caps.record`."""

        async def record() -> pb.RecordFrequencyResponse:
            items, replayed = await self.caps.record(request)
            return pb.RecordFrequencyResponse(
                results=[_frequency(each) for each in items], replayed=replayed
            )

        return await self._once(request, pb.RecordFrequencyResponse, record)

    async def ResetFrequency(  # noqa: N802
        self, request: pb.ResetFrequencyRequest, _context: Context
    ) -> pb.ResetFrequencyResponse:
        """Forgets counts of a subject; errors are those of `Caps.reset`."""

        async def reset() -> pb.ResetFrequencyResponse:
            return pb.ResetFrequencyResponse(removed=await self.caps.reset(request))

        return await self._once_for_all(request, self._resets, reset)

    async def ListFrequencyCounts(  # noqa: N802
        self, request: pb.ListFrequencyCountsRequest, _context: Context
    ) -> pb.ListFrequencyCountsResponse:
        """Lists counters of a subject; errors are those of `Caps.page`."""
        counts, token = await self.caps.page(request)
        return pb.ListFrequencyCountsResponse(counts=counts, next_page_token=token)

    async def GetBudget(  # noqa: N802
        self, request: pb.GetBudgetRequest, _context: Context
    ) -> pb.GetBudgetResponse:
        """Reads a campaign's money.

        Raises:
            MissingField: no campaign is told.
            CampaignNotFound: there is none.
        """
        await self.campaigns.freshen()
        settings = self.campaigns.of(*_named(request))
        if settings is None:
            raise MissingField("campaign_id", "the id of a campaign, or a campaign_key")
        budget, basis = await self.budgets.get(settings)
        return pb.GetBudgetResponse(budget=budget, basis=basis)

    async def TrackSpend(  # noqa: N802
        self, request: pb.TrackSpendRequest, _context: Context
    ) -> pb.TrackSpendResponse:
        """Spends at once; errors are those of `Budgets.spend`."""
        return await self._once(request, pb.TrackSpendResponse, lambda: self.budgets.spend(request))

    async def ReserveBudget(  # noqa: N802
        self, request: pb.ReserveBudgetRequest, _context: Context
    ) -> pb.ReserveBudgetResponse:
        """Holds money and cap counts; errors are those of `Reservations.reserve`."""

        async def reserve() -> pb.ReserveBudgetResponse:
            items = await self.reservations.reserve(request.reservations)
            return pb.ReserveBudgetResponse(results=[_reservation(each) for each in items])

        return await self._once(request, pb.ReserveBudgetResponse, reserve)

    async def CommitReservation(  # noqa: N802
        self, request: pb.CommitReservationRequest, _context: Context
    ) -> pb.CommitReservationResponse:
        """Spends what is held; errors are those of `Reservations.commit`."""

        async def commit() -> pb.CommitReservationResponse:
            items = await self.reservations.commit(request.commits)
            return pb.CommitReservationResponse(results=[_reservation(each) for each in items])

        return await self._once(request, pb.CommitReservationResponse, commit)

    async def ReleaseReservation(  # noqa: N802
        self, request: pb.ReleaseReservationRequest, _context: Context
    ) -> pb.ReleaseReservationResponse:
        """Gives back what is held; errors are those of `Reservations.release`."""

        async def release() -> pb.ReleaseReservationResponse:
            items = await self.reservations.release(request.reservation_ids)
            return pb.ReleaseReservationResponse(results=[_reservation(each) for each in items])

        return await self._once(request, pb.ReleaseReservationResponse, release)

    async def WatchBudgets(  # noqa: N802
        self, request: pb.WatchBudgetsRequest, _context: Context
    ) -> AsyncGenerator[pb.WatchBudgetsResponse, None]:
        """Streams changes of budgets, until the caller goes.

        Raises:
            InvalidRequest: the request can't be.
            StoreAway: the store can't be reached as the watch begins. Later it waits for it.
        """
        watch = self._watch(request)
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            for message in _messages(await watch.changes(), snapshot_complete=True):
                yield message
            told_at = self._clock()
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), self._poll_seconds)
                changed.clear()
                changes: Sequence[BudgetChange] = ()
                with suppress(StoreAway):
                    changes = await watch.changes()
                if changes or self._clock() >= told_at + self._silence_ms:
                    for message in _messages(changes, snapshot_complete=False):
                        yield message
                    told_at = self._clock()
        finally:
            self._watchers.discard(changed)

    def _watch(self, request: pb.WatchBudgetsRequest) -> Watch:
        ids = request.campaign_ids
        if ids:
            check_number("campaign_ids", len(ids), MAX_WATCHED)
            check_distinct("campaign_ids", ids)
        interval = DEFAULT_INTERVAL_MS
        if request.HasField("min_interval"):
            interval = ms_of(request.min_interval)
            if interval < 0:
                raise InvalidField("min_interval", f"expected 0 or more, got {interval} ms")
        return Watch(
            self._backend,
            self.campaigns,
            self._clock,
            campaign_ids=ids,
            state_changes_only=request.state_changes_only,
            min_interval_ms=interval,
        )

    async def _once(
        self,
        request: pb.CheckAndIncrementFrequencyRequest
        | pb.RecordFrequencyRequest
        | pb.TrackSpendRequest
        | pb.ReserveBudgetRequest
        | pb.CommitReservationRequest
        | pb.ReleaseReservationRequest,
        answer: type[Answer],
        act: Callable[[], Awaitable[Answer]],
        content: bytes | None = None,
    ) -> Answer:
        """Answers a call that changes something; the same call again gets the same answer.

        This process remembers answers whole. The store knows the moves of a call by ids of their
        own, so a repetition that reaches another process changes nothing either. `content` is that
        of the request, for who has it already.

        Raises:
            RequestIdReused: the id came before with other content, or is under way with it.
        """
        request_id = request.request_id
        check_request_id(request_id)
        calls = self._calls.get(answer)
        if calls is None:
            calls = self._calls[answer] = self._remembered(answer), {}
        answers, under_way = calls
        known = answers.find(request_id, request)
        if isinstance(known, answer):
            return _replayed(known)
        if content is None:
            content = content_of(request)
        first = under_way.get(request_id)
        if first is not None and first != content:
            raise answers.reused(request_id, first, request)
        under_way[request_id] = content
        try:
            response = await act()
        finally:
            if under_way.get(request_id) is content:  # else a repetition is under way
                del under_way[request_id]
        if self._backend.in_process or not _is_away(response):
            answers.add(request_id, content, response)
        for watcher in self._watchers:
            watcher.set()
        return response

    async def _once_for_all(
        self, request: _Rare, once: Once[Answer], act: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Answers a rare call: those at the same time are one run.

        Raises:
            RequestIdReused: the id came before with other content, or is under way with it.
        """
        check_request_id(request.request_id)
        response = await once.answer(request.request_id, request, act)
        for watcher in self._watchers:
            watcher.set()
        return response

    async def _kept(
        self, request: _Rare, answer: type[Answer], act: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer that the store keeps of a call; else acts, and has it kept.

        Raises:
            RequestIdReused: the id came before with other content.
            StoreAway: the store can't be reached; whether the answer is kept is not known.
        """
        first = await self._answered.find(_ANSWER, request.request_id, request)
        if first is None:
            first = await self._keep(_ANSWER, request, await act())
        return answer.FromString(first)

    async def _keep(self, what: str, request: _Rare, answer: Message) -> bytes:
        """Has something kept of a call; what is kept of it, which is what came first."""
        return await self._answered.keep(
            what, request.request_id, request, answer.SerializeToString()
        )

    def _remembered(self, answer: type[Answer]) -> Answers[Answer]:
        return Answers(answer, self._keep_ms, self._clock, personal=("subject",))


def _named(
    request: pb.GetCampaignRequest | pb.GetBudgetRequest,
) -> tuple[str | None, CampaignKey | None]:
    """Which campaign is asked for: by its id, or by a key."""
    kind = request.WhichOneof("campaign")
    return (
        request.campaign_id if kind == "campaign_id" else None,
        request.campaign_key if kind == "campaign_key" else None,
    )


def _frequency(item: FrequencyResult | tuple[str, XspError]) -> FrequencyResult:
    if isinstance(item, FrequencyResult):
        return item
    candidate_id, error = item
    return FrequencyResult(candidate_id=candidate_id, status=_status(error))


def _reservation(item: ReservationResult | tuple[str, XspError]) -> ReservationResult:
    if isinstance(item, ReservationResult):
        return item
    reservation_id, error = item
    return ReservationResult(reservation_id=reservation_id, status=_status(error))


def _status(error: XspError) -> Status:
    """An item's failure; equal on the wire to google.rpc.Status."""
    return Status.FromString(to_status(error).SerializeToString())


def _replayed(answer: Answer) -> Answer:
    """A remembered answer, which says that it is one, where it can."""
    fields = answer.DESCRIPTOR.fields_by_name
    if "replayed" in fields:
        setattr(answer, "replayed", True)  # noqa: B010 - what kind it is, only the caller knows
    for result in getattr(answer, "results", ()):
        if isinstance(result, ReservationResult) and not result.HasField("status"):
            result.replayed = True
    return answer


def _is_away(answer: Message) -> bool:
    """Whether a policy decided in place of the store: then the call may be tried again."""
    basis = getattr(answer, "basis", None)
    if isinstance(basis, DecisionBasis):
        return basis.source in _AWAY
    sources = [each.basis.source for each in getattr(answer, "results", ())]
    return not _AWAY.isdisjoint(sources)


_AWAY: Final = frozenset(
    {DecisionSource.DECISION_SOURCE_FAIL_OPEN, DecisionSource.DECISION_SOURCE_FAIL_CLOSED}
)


def _messages(
    changes: Sequence[BudgetChange], *, snapshot_complete: bool
) -> list[pb.WatchBudgetsResponse]:
    """Changes as messages, one at least; the last one says that the snapshot is complete."""
    starts = range(0, max(len(changes), 1), WATCH_BATCH)
    messages = [
        pb.WatchBudgetsResponse(changes=changes[start : start + WATCH_BATCH]) for start in starts
    ]
    messages[-1].snapshot_complete = snapshot_complete
    return messages
