"""Campaigns: their settings, put, found and deleted.

Every process keeps a copy of all campaigns. Each call asks the store for the version of the whole
and reads it again where it changed, so that a campaign holds everywhere once PutCampaign has
answered. While the store is away the copy goes on serving the fail policies.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

from xsp.state.v1.campaign_key_pb2 import CampaignKey
from xsp.state.v1.campaign_pb2 import Campaign, CampaignStatus
from xsp_server.errors import MissingField, Overloaded
from xsp_server.state import expiring
from xsp_server.state.backend import (
    CampaignDocument,
    PutOutcome,
    PutStatus,
    StateBackend,
    StoreAway,
)
from xsp_server.state.campaign_rules import Settings, key_texts, settings_of
from xsp_server.state.faults import (
    CampaignChanged,
    CampaignCurrencyFixed,
    CampaignHasChildren,
    CampaignKeyTaken,
    CampaignNotFound,
    CampaignParentInvalid,
    RequestIdReused,
)
from xsp_server.state.messages import (
    Clock,
    differences,
    digest,
    machine_clock,
    page_position,
    page_size,
    page_token,
    timestamp,
)
from xsp_server.state.money_book import book_of, read_totals

MAX_LEVELS: Final = 8
"""Levels of a campaign tree."""

Lineage = tuple[Settings, ...]
"""A campaign and its parents, from itself to the top."""

TRIES: Final = 16
"""How often a campaign is checked and changed anew where other servers changed some meanwhile."""
RETRY_SECONDS: Final = 0.1
"""Advice on when to come again, where that was not enough."""

_PAGE: Final = 1000


class Campaigns:
    """All campaigns of a store."""

    def __init__(self, backend: StateBackend, clock: Clock = machine_clock) -> None:
        """Begins with an empty copy; the first call reads it.

        Args:
            backend: where they are stored.
            clock: milliseconds since 1970.
        """
        self._backend = backend
        self._clock = clock
        self._version = -1
        self._by_id: dict[str, Settings] = {}
        self._by_key: dict[str, str] = {}
        self._by_bidder: dict[str, set[str]] = {}
        self._children: dict[str, set[str]] = {}
        self._ids: list[str] = []
        self._writing = asyncio.Lock()

    async def refresh(self) -> None:
        """Brings the copy up to date.

        Raises:
            StoreAway: the store can't be reached.
        """
        version = await self._backend.campaigns_version()
        if version == self._version:
            return
        documents: list[CampaignDocument] = []
        page = await self._backend.list_campaigns(limit=_PAGE)
        while page:
            documents += page
            page = await self._backend.list_campaigns(after=page[-1].campaign_id, limit=_PAGE)
        self._take(documents)
        self._version = version

    async def freshen(self) -> StoreAway | None:
        """Brings the copy up to date; why that failed, if a copy is there to go on with.

        Raises:
            StoreAway: the store can't be reached, and never was.
        """
        try:
            await self.refresh()
        except StoreAway as failure:
            if self._version < 0:
                raise
            return failure
        return None

    def get(self, campaign_id: str) -> Settings:
        """The campaign of this id, of the copy.

        Raises:
            CampaignNotFound: there is none.
        """
        try:
            return self._by_id[campaign_id]
        except KeyError:
            raise CampaignNotFound(
                f"no campaign has the id {campaign_id!r:.140}", campaign_id=campaign_id
            ) from None

    def find(self, key: CampaignKey) -> Settings:
        """The campaign that a bid's key fits best, of the copy.

        Raises:
            CampaignNotFound: there is none.
        """
        found = self.search(key.cid, key.seat, key.bidder)
        if found is not None:
            return found
        raise CampaignNotFound(
            f"no campaign has the cid {key.cid!r:.140} for this seat and bidder",
            cid=key.cid,
            seat=key.seat,
            bidder=key.bidder,
        )

    def of(self, campaign_id: str | None, key: CampaignKey | None) -> Settings | None:
        """The campaign by one of the two; None where neither is told.

        Raises:
            CampaignNotFound: there is none.
        """
        if campaign_id is not None:
            return self.get(campaign_id)
        return None if key is None else self.find(key)

    def __len__(self) -> int:
        """How many the copy has."""
        return len(self._by_id)

    @property
    def version(self) -> int:
        """Version of the copy; -1: it was never read."""
        return self._version

    def search(self, cid: str, seat: str, bidder: str) -> Settings | None:
        """As `find`, by the parts of a key; None: there is none."""
        for text in key_texts(cid, seat, bidder):
            campaign_id = self._by_key.get(text)
            if campaign_id is not None:
                return self._by_id[campaign_id]
        return None

    def of_bidder(self, bidder: str) -> list[Settings]:
        """Campaigns of the copy whose key names this bidder, in the order of their ids."""
        return [self._by_id[each] for each in sorted(self._by_bidder.get(bidder, ()))]

    def lineage(self, settings: Settings) -> Lineage:
        """The campaign and its parents.

        Raises:
            CampaignParentInvalid: puts that raced made a cycle, or a level too many.
        """
        levels = [settings]
        while levels[-1].parent_id:
            if len(levels) == MAX_LEVELS:
                raise _too_deep(settings.id)
            levels.append(self.get(levels[-1].parent_id))
        return tuple(levels)

    def all_ids(self) -> tuple[str, ...]:
        """All ids of the copy, in order."""
        return tuple(self._ids)

    async def read(self, campaign_id: str | None, key: CampaignKey | None) -> Settings:
        """The campaign by its id or by a bid's key.

        Raises:
            MissingField: neither is told.
            CampaignNotFound: there is none.
            StoreAway: the store can't be reached.
        """
        await self.refresh()
        found = self.of(campaign_id, key)
        if found is None:
            raise MissingField("campaign_id", "the id of a campaign, or a campaign_key")
        return found

    async def put(
        self, campaign: Campaign, request_id: str = "", expected_revision: int | None = None
    ) -> tuple[Campaign, bool]:
        """Creates or replaces a campaign; as it is stored, and whether it was created.

        Args:
            campaign: its settings; revision and times are ignored.
            request_id: the same again, with the same content, changes nothing.
            expected_revision: 0: it must not exist. None: whatever it is.

        Raises:
            InvalidRequest: a setting can't be.
            CampaignParentInvalid: it can't have this parent.
            CampaignCurrencyFixed: money moved in another currency.
            CampaignKeyTaken: another campaign has its key.
            CampaignChanged: it has another revision.
            RequestIdReused: the request id came before with other content.
            StoreAway: the store can't be reached.
            Overloaded: other servers change campaigns all the time.
        """
        body = _body(campaign)
        settings = settings_of(body)
        document = CampaignDocument(
            settings.id, settings.key, body.SerializeToString(deterministic=True), request_id
        )
        async with self._writing:
            for _ in range(TRIES):
                stored = await self._try_to_put(settings, document, expected_revision)
                if stored is not None:
                    return stored.message, stored.message.revision == 1
        raise _crowded(settings.id)

    async def delete(
        self,
        campaign_id: str,
        expected_revision: int | None = None,
        before: Callable[[Settings], Awaitable[None]] | None = None,
    ) -> Campaign:
        """Deletes a campaign; as it was last.

        Args:
            campaign_id: its id.
            expected_revision: that it must have now. None: whatever it is.
            before: what is to be done first; it may refuse by raising.

        Raises:
            CampaignNotFound: there is none.
            CampaignHasChildren: others name it as their parent.
            CampaignChanged: it has another revision.
            StoreAway: the store can't be reached.
            Overloaded: other servers change campaigns all the time.
        """
        revision = expected_revision
        async with self._writing:
            for _ in range(TRIES):
                await self.refresh()
                version, settings = self._version, self.get(campaign_id)
                self._check_deletion(settings, revision)
                revision = settings.message.revision
                if before is not None:
                    await before(settings)
                if await self._try_to_delete(settings, version):
                    return settings.message
        raise _crowded(campaign_id)

    async def page(
        self,
        *,
        size: int = 0,
        token: str = "",
        seat: str | None = None,
        parent_id: str | None = None,
        status: "CampaignStatus.ValueType" = CampaignStatus.CAMPAIGN_STATUS_UNSPECIFIED,
    ) -> tuple[list[Campaign], str]:
        """One page of campaigns in the order of their ids, and the token of the next one.

        Args:
            size: of the page, 1 to 1000; 0: 100.
            token: of the page; empty: the first.
            seat: only those whose key has it.
            parent_id: only those directly below it; empty: those at the top.
            status: only those with it.

        Raises:
            InvalidField: the size can't be.
            PageTokenInvalid: the token is of another list.
            StoreAway: the store can't be reached.
        """
        most = page_size(size)
        conditions = digest("campaigns", repr((seat, parent_id, int(status))))
        position = page_position(token, self._clock(), conditions)
        await self.refresh()
        start = 0 if position is None else bisect_right(self._ids, str(position[0]))
        page: list[Campaign] = []
        for campaign_id in self._ids[start:]:
            settings = self._by_id[campaign_id]
            if not _fits(settings, seat, parent_id, status):
                continue
            if len(page) == most:
                return page, page_token(self._clock(), conditions, [page[-1].campaign_id])
            page.append(settings.message)
        return page, ""

    async def _try_to_put(
        self, settings: Settings, document: CampaignDocument, expected_revision: int | None
    ) -> Settings | None:
        """Puts a campaign where it may stand; None: others changed meanwhile what that rests on.

        That is all campaigns, as none of the tree may have been put elsewhere, but for one that is
        at the top and keeps its currency: nothing of it can break a tree.
        """
        await self.refresh()
        version, before = self._version, self._by_id.get(settings.id)
        request_id = document.request_id
        if not (before and request_id and await self._was_put_by(request_id, settings.id)):
            await self._check_place(settings, before)
        is_free = not settings.parent_id and (
            before is None or before.currency == settings.currency
        )
        expected = expected_revision
        if expected is None and is_free:
            expected = 0 if before is None else before.message.revision
        outcome = await self._backend.put_campaign(
            document,
            self._clock(),
            expected_revision=expected,
            expected_version=None if is_free else version,
        )
        if outcome.status is PutStatus.OUTDATED:
            return None
        if outcome.status is PutStatus.DIFFERS and expected_revision is None:
            return None
        stored = _stored(outcome, settings, document)
        await self._changed(lambda: self._add(stored))
        return stored

    def _check_deletion(self, settings: Settings, expected_revision: int | None) -> None:
        """Raises where the campaign is not one to be deleted."""
        children = sorted(self._children.get(settings.id, ()))
        if children:
            raise CampaignHasChildren(
                f"{settings.id} is the parent of {len(children)} campaigns, such as "
                f"{children[0]}; delete them, or put them elsewhere, first"
            )
        revision = settings.message.revision
        if expected_revision is not None and expected_revision != revision:
            raise _changed(settings.id, expected_revision, revision)

    async def _try_to_delete(self, settings: Settings, version: int) -> bool:
        """Deletes a campaign; False: others changed some meanwhile, which may be below it now."""
        revision = settings.message.revision
        outcome = await self._backend.delete_campaign(
            settings.id, expected_revision=revision, expected_version=version
        )
        if outcome.status is PutStatus.OUTDATED:
            return False
        if outcome.status is PutStatus.DIFFERS and outcome.document is not None:
            raise _changed(settings.id, revision, outcome.document.revision)
        await self._changed(lambda: self._drop(settings.id))
        return True

    async def _was_put_by(self, request_id: str, campaign_id: str) -> bool:
        """Whether a request is that of the last put, which then is only repeated."""
        [document] = await self._backend.get_campaigns([campaign_id])
        return document is not None and document.request_id == request_id

    async def _check_place(self, settings: Settings, before: Settings | None) -> None:
        """Raises where the campaign can't stand where it is to stand in its tree."""
        above, tree = self._above(settings), self._tree(settings.id)
        if len(above) + max(tree.values()) > MAX_LEVELS:
            raise _too_deep(settings.id)
        for child in self._children.get(settings.id, ()):
            if self._by_id[child].currency != settings.currency:
                raise CampaignParentInvalid(
                    f"campaign.currency: expected {self._by_id[child].currency}, as {child} below "
                    f"it, got {settings.currency}"
                )
        if before is None:
            return
        new_root = above[-1].id if len(above) > 1 else settings.id
        for old_root in self._roots(before):
            if before.currency != settings.currency and await self._has_moved(
                old_root, [settings.id]
            ):
                raise CampaignCurrencyFixed(
                    f"campaign.currency: expected {before.currency}, in which money moved already, "
                    f"got {settings.currency}"
                )
            if new_root != old_root and await self._has_moved(old_root, [*tree]):
                raise CampaignParentInvalid(
                    f"campaign.parent_id: money moved already below {old_root}; expected a parent "
                    f"below it, got one below {new_root}"
                )

    def _roots(self, settings: Settings) -> list[str]:
        """The campaign at the top; where puts that raced left none, all that may have been it."""
        ids: list[str] = []
        at: Settings | None = settings
        while at is not None and at.id not in ids:
            ids.append(at.id)
            if not at.parent_id:
                return [at.id]
            at = self._by_id.get(at.parent_id)
        return ids

    def _above(self, settings: Settings) -> Lineage:
        """The campaign, as it is to be, and its parents."""
        levels = [settings]
        while levels[-1].parent_id:
            parent = self._by_id.get(levels[-1].parent_id)
            if parent is None:
                raise CampaignParentInvalid(
                    f"campaign.parent_id: no campaign has the id {levels[-1].parent_id}"
                )
            if parent.id == settings.id:
                raise CampaignParentInvalid(
                    f"campaign.parent_id: {settings.parent_id} is {settings.id} or below it; "
                    "expected one that is not"
                )
            if parent.currency != settings.currency:
                raise CampaignParentInvalid(
                    f"campaign.currency: expected {parent.currency}, as its parent {parent.id}, "
                    f"got {settings.currency}"
                )
            levels.append(parent)
            if len(levels) > MAX_LEVELS:
                raise _too_deep(settings.id)
        return tuple(levels)

    def _tree(self, campaign_id: str) -> dict[str, int]:
        """A campaign and all below it, each with its level below it; each once in a cycle."""
        levels = {campaign_id: 0}
        going = [campaign_id]
        for each in going:
            for child in self._children.get(each, ()):
                if child not in levels:
                    levels[child] = levels[each] + 1
                    going.append(child)
        return levels

    async def _has_moved(self, root_id: str, campaign_ids: list[str]) -> bool:
        """Whether one of these has spent or holds money."""
        for start in range(0, len(campaign_ids), 500):
            move = read_totals(campaign_ids[start : start + 500])
            book, now_ms = book_of(root_id), self._clock()
            [outcome] = await expiring.read(self._backend, book, [move], now_ms)
            if any(each.counted or each.held for each in outcome.numbers):
                return True
        return False

    async def _changed(self, change: Callable[[], None]) -> None:
        """Makes a change of ours in the copy, which is current if nobody else made another."""
        expected = self._version + 1
        version = await self._backend.campaigns_version()
        change()
        if version == expected:
            self._version = version

    def _take(self, documents: Iterable[CampaignDocument]) -> None:
        """Puts these in the place of the copy; what did not change isn't read again."""
        known = self._by_id
        self._by_id, self._by_key, self._children, self._ids = {}, {}, {}, []
        self._by_bidder = {}
        for document in documents:
            old = known.get(document.campaign_id)
            if (
                old is not None
                and old.message.revision == document.revision
                and ms_of_create(old) == document.created_at
            ):
                self._add(old)
            else:
                self._add(settings_of(_message(document)))

    def _add(self, settings: Settings) -> None:
        self._drop(settings.id)
        self._by_id[settings.id] = settings
        self._by_key[settings.key] = settings.id
        if settings.message.key.bidder:
            self._by_bidder.setdefault(settings.message.key.bidder, set()).add(settings.id)
        if settings.parent_id:
            self._children.setdefault(settings.parent_id, set()).add(settings.id)
        place = bisect_right(self._ids, settings.id)
        self._ids.insert(place, settings.id)

    def _drop(self, campaign_id: str) -> None:
        old = self._by_id.pop(campaign_id, None)
        if old is None:
            return
        del self._by_key[old.key]
        self._by_bidder.get(old.message.key.bidder, set()).discard(campaign_id)
        self._children.get(old.parent_id, set()).discard(campaign_id)
        self._ids.remove(campaign_id)


def ms_of_create(settings: Settings) -> int:
    """When a campaign was first put."""
    created = settings.message.create_time
    return created.seconds * 1000 + created.nanos // 1_000_000


def _fits(
    settings: Settings,
    seat: str | None,
    parent_id: str | None,
    status: "CampaignStatus.ValueType",
) -> bool:
    """Whether a list with these conditions has the campaign."""
    told = settings.message.status or CampaignStatus.CAMPAIGN_STATUS_ACTIVE
    return (
        (seat is None or settings.message.key.seat == seat)
        and (parent_id is None or settings.parent_id == parent_id)
        and status in (CampaignStatus.CAMPAIGN_STATUS_UNSPECIFIED, told)
    )


def _body(campaign: Campaign) -> Campaign:
    """What of a campaign is the client's."""
    body = Campaign()
    body.CopyFrom(campaign)
    for name in ("revision", "create_time", "update_time"):
        body.ClearField(name)
    return body


def _message(document: CampaignDocument) -> Campaign:
    """A campaign as it is stored, with revision and times."""
    message = Campaign.FromString(document.body)
    message.revision = document.revision
    message.create_time.CopyFrom(timestamp(document.created_at))
    message.update_time.CopyFrom(timestamp(document.updated_at))
    return message


def _stored(outcome: PutOutcome, settings: Settings, put: CampaignDocument) -> Settings:
    """The campaign as the store has it now, or why it has not."""
    document = outcome.document
    if outcome.status is PutStatus.TAKEN and document is not None:
        raise CampaignKeyTaken(
            f"campaign.key: {document.campaign_id} has the same cid, seat and bidder",
            campaign_id=document.campaign_id,
        )
    if outcome.status is PutStatus.DIFFERS or document is None:
        revision = 0 if document is None else document.revision
        raise _changed(settings.id, None, revision)
    if outcome.status is PutStatus.REPLAYED and document.body != put.body:
        different = differences(Campaign.FromString(document.body), settings.message)
        raise RequestIdReused(
            f"request_id {put.request_id!r} came before with other {', '.join(different)}; "
            "expected an id of its own for other content",
            **{f"campaign.{name}": told for name, told in different.items()},
        )
    return replace(settings, message=_message(document))


def _changed(campaign_id: str, expected: int | None, revision: int) -> CampaignChanged:
    asked = "" if expected is None else f", expected {expected}"
    return CampaignChanged(
        f"{campaign_id} has revision {revision}{asked}; read it again and decide anew",
        revision=revision,
    )


def _crowded(campaign_id: str) -> Overloaded:
    return Overloaded(
        f"{campaign_id}: other servers changed campaigns {TRIES} times meanwhile; nothing was done",
        retry_after=RETRY_SECONDS,
    )


def _too_deep(campaign_id: str) -> CampaignParentInvalid:
    return CampaignParentInvalid(
        f"campaign.parent_id: the tree of {campaign_id} would have more than {MAX_LEVELS} levels"
    )
