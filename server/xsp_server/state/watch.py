"""Watching budgets: what changed since it was last told.

A watcher keeps one state a campaign: that which it told last. Whatever happens in between is merged
by comparing with it, so a slow reader costs nothing and misses nothing that still holds.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from xsp.state.v1.budget_pb2 import BudgetChange, BudgetChangeKind, BudgetState, BudgetStatus
from xsp_server.state import budget_status as statuses
from xsp_server.state import expiring
from xsp_server.state.backend import Book, Kind, Move, Outcome, StateBackend
from xsp_server.state.budget_status import levels_of
from xsp_server.state.budgets import status_of
from xsp_server.state.campaigns import Campaigns, Lineage, ms_of_create
from xsp_server.state.faults import CampaignNotFound, CampaignParentInvalid
from xsp_server.state.messages import Clock, machine_clock
from xsp_server.state.money_book import book_of

LOOK_MS: Final = 1000
"""How often a state is looked at that only time can have changed."""

_LOOK: Final = Move(Kind.CHECK)


@dataclass(slots=True)
class _Told:
    """What was told of a campaign last."""

    budget: BudgetStatus
    puts: "_Puts"
    at: int


class Watch:
    """What one watcher has been told."""

    def __init__(  # noqa: PLR0913 - two parts, and what was asked for, by name
        self,
        backend: StateBackend,
        campaigns: Campaigns,
        clock: Clock = machine_clock,
        *,
        campaign_ids: Sequence[str] = (),
        state_changes_only: bool = False,
        min_interval_ms: int = 100,
    ) -> None:
        """Takes what is watched.

        Args:
            backend: where money is counted.
            campaigns: of the same store.
            clock: milliseconds since 1970.
            campaign_ids: which; empty: all, those to come included.
            state_changes_only: whether movements of money are left out.
            min_interval_ms: least time between two changes of one campaign, unless its state
                changes.
        """
        self._backend = backend
        self._campaigns = campaigns
        self._clock = clock
        self._ids = tuple(campaign_ids)
        self._states_only = state_changes_only
        self._min_interval_ms = min_interval_ms
        self._told: dict[str, _Told] = {}
        self._sequences: dict[str, tuple[int, int]] = {}
        self._pending: set[str] = set()

    async def changes(self) -> list[BudgetChange]:
        """What changed since the last call; the first one tells snapshots.

        Raises:
            StoreAway: the store can't be reached; nothing is lost.
        """
        await self._campaigns.refresh()
        now_ms = self._clock()
        known = set(self._campaigns.all_ids())
        ids = [each for each in self._ids or self._campaigns.all_ids() if each in known]
        trees: dict[str, list[Lineage]] = {}
        for each in ids:
            lineage = self._lineage(each)
            if lineage is not None:
                trees.setdefault(lineage[-1].id, []).append(lineage)
        looked: dict[str, tuple[int, int]] = {}
        found = await asyncio.gather(
            *(self._look(root, those, now_ms, looked) for root, those in trees.items())
        )
        self._sequences |= looked  # only now: where a tree can't be read, all are read again
        changes = [self._deleted(each) for each in list(self._told) if each not in known]
        for lineage, budget in (pair for pairs in found for pair in pairs):
            change = self._change(lineage, budget, now_ms)
            if change is not None:
                changes.append(change)
        return changes

    def _lineage(self, campaign_id: str) -> Lineage | None:
        """The campaign and its parents; None: puts that raced left it without a tree of its own.

        Then nothing is told of it until one of them is put right.
        """
        try:
            return self._campaigns.lineage(self._campaigns.get(campaign_id))
        except (CampaignNotFound, CampaignParentInvalid):
            return None

    async def _look(
        self,
        root: str,
        lineages: Sequence[Lineage],
        now_ms: int,
        looked_at: dict[str, tuple[int, int]],
    ) -> list[tuple[Lineage, BudgetStatus]]:
        """Reads the campaigns of a tree, unless nothing can have changed.

        Args:
            root: the campaign at the top.
            lineages: of those that are watched.
            now_ms: the time.
            looked_at: gets the tree's sequence, and when to look at it again, where all were read.
        """
        book = book_of(root)
        [looked] = await self._backend.apply(book, [_LOOK], now_ms)
        sequence, again_at = self._sequences.get(root, (-1, 0))
        if sequence == looked.sequence and now_ms < again_at:
            lineages = [each for each in lineages if self._may_differ(each)]
        else:
            looked_at[root] = (looked.sequence, now_ms + LOOK_MS)
        levels = [levels_of(lineage, now_ms) for lineage in lineages]
        moves = [Move(Kind.CHECK, statuses.entries(each, 0, now_ms)) for each in levels]
        # Later looks follow so closely that one call expires what is due.
        read = self._backend.apply if root in self._sequences else self._read_first
        outcomes = await read(book, moves, now_ms) if moves else []
        return [
            (lineage, status_of(each, outcome, now_ms))
            for lineage, each, outcome in zip(lineages, levels, outcomes, strict=True)
        ]

    async def _read_first(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """Reads a tree for the first time, when much may be due."""
        return await expiring.read(self._backend, book, moves, now_ms)

    def _may_differ(self, lineage: Lineage) -> bool:
        """Whether a campaign may differ from what was told, though no money moved since."""
        told = self._told.get(lineage[0].id)
        return told is None or lineage[0].id in self._pending or told.puts != _puts(lineage)

    def _change(self, lineage: Lineage, budget: BudgetStatus, now_ms: int) -> BudgetChange | None:
        """What is told of a campaign now; None: nothing."""
        campaign_id = lineage[0].id
        puts = _puts(lineage)
        told = self._told.get(campaign_id)
        if told is None:
            kinds = [BudgetChangeKind.BUDGET_CHANGE_KIND_SNAPSHOT]
            self._told[campaign_id] = _Told(budget, puts, now_ms)
            return BudgetChange(kinds=kinds, budget=budget)
        kinds = list(_kinds(told.budget, budget, is_put=told.puts != puts))
        is_new_state = told.budget.state != budget.state
        if is_new_state and not kinds:  # from one that doesn't pay to another: time, or a parent
            kinds.append(BudgetChangeKind.BUDGET_CHANGE_KIND_SNAPSHOT)
        if not kinds or (self._states_only and not is_new_state):
            self._pending.discard(campaign_id)
            return None
        if not is_new_state and now_ms < told.at + self._min_interval_ms:
            self._pending.add(campaign_id)
            return None
        self._pending.discard(campaign_id)
        self._told[campaign_id] = _Told(budget, puts, now_ms)
        return BudgetChange(kinds=kinds, budget=budget, previous_state=told.budget.state)

    def _deleted(self, campaign_id: str) -> BudgetChange:
        told = self._told.pop(campaign_id).budget
        self._pending.discard(campaign_id)
        kinds = [BudgetChangeKind.BUDGET_CHANGE_KIND_CAMPAIGN_DELETED]
        return BudgetChange(kinds=kinds, budget=told, previous_state=told.state)


_Puts = tuple[tuple[str, int, int], ...]


def _puts(lineage: Lineage) -> _Puts:
    """What changes when a campaign, or one above it, is put: ids, revisions, times of the first."""
    return tuple((each.id, each.message.revision, ms_of_create(each)) for each in lineage)


def _kinds(
    before: BudgetStatus, now: BudgetStatus, *, is_put: bool
) -> "Iterable[BudgetChangeKind.ValueType]":
    """What happened between the two."""
    spent = now.spent.micros - before.spent.micros
    reserved = now.reserved.micros - before.reserved.micros
    if spent > 0:
        yield BudgetChangeKind.BUDGET_CHANGE_KIND_SPENT
    if reserved > 0:
        yield BudgetChangeKind.BUDGET_CHANGE_KIND_RESERVED
    if reserved + max(spent, 0) < 0:
        yield BudgetChangeKind.BUDGET_CHANGE_KIND_RELEASED
    pays = BudgetState.BUDGET_STATE_ACTIVE
    if before.state == pays != now.state:
        yield BudgetChangeKind.BUDGET_CHANGE_KIND_STOPPED
    if before.state != pays == now.state:
        yield BudgetChangeKind.BUDGET_CHANGE_KIND_RESUMED
    if is_put:
        yield BudgetChangeKind.BUDGET_CHANGE_KIND_CAMPAIGN_PUT
