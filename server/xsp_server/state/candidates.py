"""Candidates: which caps hold for what might be shown, and which counters these count in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xsp.state.v1.frequency_pb2 import (
    CapDenial,
    CapScope,
    CapStatus,
    CapSubject,
    FrequencyCandidate,
    Subject,
)
from xsp_server.state.backend import AMOUNT_MAX, NAME_MAX, Book, Entry, Numbers, Outcome, Why
from xsp_server.state.campaign_rules import Settings, caps_of
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.cap_rules import CapRule
from xsp_server.state.faults import InvalidField
from xsp_server.state.messages import moment
from xsp_server.state.windows import NEVER, Window

# Values of enums by names of the module: reading one from its enum costs ten times as much.
_USER: Final = CapSubject.CAP_SUBJECT_USER
_HOUSEHOLD: Final = CapSubject.CAP_SUBJECT_HOUSEHOLD
_CUSTOM: Final = CapScope.CAP_SCOPE_CUSTOM
_CAMPAIGN: Final = CapScope.CAP_SCOPE_CAMPAIGN
_CREATIVE: Final = CapScope.CAP_SCOPE_CREATIVE
_POD: Final = CapScope.CAP_SCOPE_POD
_ADVERTISER: Final = CapScope.CAP_SCOPE_ADVERTISER
_ALLOWED: Final = CapDenial.CAP_DENIAL_UNSPECIFIED
_NO_SUBJECT: Final = CapDenial.CAP_DENIAL_SUBJECT_MISSING
_NO_SCOPE: Final = CapDenial.CAP_DENIAL_SCOPE_MISSING
_LIMIT: Final = CapDenial.CAP_DENIAL_LIMIT
_COOLDOWN: Final = CapDenial.CAP_DENIAL_COOLDOWN
_BY_LIMIT: Final = Why.LIMIT.value
_BY_COOLDOWN: Final = Why.COOLDOWN.value
_BY_OVERFLOW: Final = Why.OVERFLOW.value

Names = Mapping["CapSubject.ValueType", str]
"""Names of the books of a subject, user before household."""

_LONGEST_ID: Final = NAME_MAX - 16


def user_book(user_id: str) -> Book:
    """The book of a user."""
    return Book(f"user/{user_id}")


def household_book(household_id: str) -> Book:
    """The book of a household."""
    return Book(f"household/{household_id}")


def books_of(subject: Subject) -> list[tuple["CapSubject.ValueType", str, Book]]:
    """The books of a subject, user before household, of the ids that are told.

    Raises:
        InvalidField: an id is too long.
    """
    books: list[tuple[CapSubject.ValueType, str, Book]] = []
    for kind, id_, name, book in (
        (_USER, subject.user_id, "user_id", user_book),
        (_HOUSEHOLD, subject.household_id, "household_id", household_book),
    ):
        if len(id_.encode()) > _LONGEST_ID or "\0" in id_:
            raise InvalidField(f"subject.{name}", f"expected at most {_LONGEST_ID} bytes, no NUL")
        if id_:
            books.append((kind, id_, book(id_)))
    return books


def names_of(subject: Subject) -> Names:
    """The names of `books_of` a subject.

    Raises:
        InvalidField: an id is too long.
    """
    if not subject.household_id:
        user_id = subject.user_id
        if user_id.isascii() and "\0" not in user_id and 0 < len(user_id) <= _LONGEST_ID:
            return {_USER: f"user/{user_id}"}  # nearly all
    return {kind: book.name for kind, _, book in books_of(subject)}


@dataclass(slots=True)
class Asked:
    """One cap for one subject.

    Attributes:
        rule: the cap.
        campaign_id: the campaign that has it; empty: the candidate.
        scope_value: what it counts.
        subject: user or household.
        missing: why it can't be counted, if it denies; unspecified also where it is let pass.
        counts: whether it can be counted.
        counter: name of its counter, where it is counted.
        window: of the counter.
        numbers: of the counter, once the store has told them.
        at: when it told them.
    """

    rule: CapRule
    campaign_id: str
    scope_value: str
    subject: "CapSubject.ValueType"
    missing: "CapDenial.ValueType" = _ALLOWED
    counts: bool = True
    counter: str = ""
    window: Window | None = None
    numbers: Numbers | None = None
    at: int = 0


@dataclass(slots=True)
class Candidate:
    """One candidate with all that its caps ask.

    Attributes:
        id: its name.
        impressions: what it stands for.
        asked: its caps in order, each once a subject.
        books: books with counters of its caps, in the fixed order: user, household.
    """

    id: str
    impressions: int
    asked: list[Asked]
    books: dict[str, list[Asked]] = field(default_factory=dict)

    @property
    def is_missing(self) -> bool:
        """Whether a cap denies since it can't be counted."""
        return any(each.missing for each in self.asked)

    @property
    def is_allowed(self) -> bool:
        """Whether no cap denies, by what the store told."""
        add = self.impressions
        return not any(_denial_of(each, add) for each in self.asked)

    def entries(self, book: str, *, add: int | None = None, forced: bool = False) -> list[Entry]:
        """What it counts in a book: caps that share a counter as one entry, the strictest."""
        most = self.impressions if add is None else add
        made: dict[str, Entry] = {}
        for each in self.books[book]:
            assert each.window is not None  # noqa: S101 - who is in a book has a counter
            rule, old = each.rule, made.get(each.counter)
            limit, cooldown = rule.limit, rule.cooldown_ms
            if old is not None:
                limits = [told for told in (limit, old.limit) if told is not None]
                limit = min(limits, default=None)
                cooldown = max(cooldown, old.cooldown_ms)
            made[each.counter] = Entry(
                each.counter, each.window, most, limit, None, cooldown, forced
            )
        return list(made.values())

    def take(self, book: str, outcome: Outcome) -> None:
        """Takes what the store told of the entries of a book."""
        asked = self.books[book]
        if len(asked) == 1 == len(outcome.numbers):
            [asked[0].numbers], asked[0].at = outcome.numbers, outcome.at
            return
        counters = dict.fromkeys([each.counter for each in asked])
        # A first answer may be of caps that have changed since: what has no number has none.
        told = dict(zip(counters, outcome.numbers, strict=False))
        for each in asked:
            each.numbers = told.get(each.counter)
            each.at = outcome.at


def candidate_of(  # noqa: PLR0913 - all of them are facts of one request
    told: FrequencyCandidate,
    subject: Subject,
    campaigns: Campaigns,
    now_ms: int,
    *,
    path: str,
    settings: Settings | None = None,
    names: Names | None = None,
) -> Candidate:
    """Reads a candidate.

    Args:
        told: as it came.
        subject: whose impressions.
        campaigns: their current copy.
        now_ms: the time, for windows of the calendar.
        path: where it stands in the request.
        settings: the campaign where the candidate tells none.
        names: `names_of` the subject, for who has many candidates. None: worked out here.

    Raises:
        InvalidRequest: a cap, or the number of impressions, can't be.
        CampaignNotFound: there is no such campaign.
    """
    impressions = told.impressions if told.HasField("impressions") else 1
    if not 1 <= impressions <= AMOUNT_MAX:
        raise InvalidField(f"{path}.impressions", f"expected 1 or more, got {impressions}")
    own = caps_of(f"{path}.caps", told.caps)
    kind = told.WhichOneof("campaign")
    if kind is not None:
        settings = campaigns.of(
            told.campaign_id if kind == "campaign_id" else None,
            told.campaign_key if kind == "campaign_key" else None,
        )
    asked: list[Asked] = []
    lineage = () if settings is None else campaigns.lineage(settings)
    for level in lineage:
        for rule in level.caps:
            asked += _asked(rule, level.id, _value(rule, level.id, told, settings), subject)
    campaign_id = "" if settings is None else settings.id
    for rule in own:
        asked += _asked(rule, "", _value(rule, campaign_id, told, settings), subject)
    candidate = Candidate(told.candidate_id, impressions, asked)
    names = names_of(subject) if names is None else names
    for each in asked:
        if each.counts:
            each.counter, each.window = each.rule.counter(
                each.scope_value, subject.session_id, now_ms
            )
            candidate.books.setdefault(names[each.subject], []).append(each)
    if len(candidate.books) > 1:
        candidate.books = {name: candidate.books[name] for name in names.values()}
    return candidate


def status_of(each: Asked, impressions: int, *, after: bool) -> CapStatus:
    """One cap as it stands.

    Args:
        each: the cap.
        impressions: that were asked for.
        after: False: they were refused, or only judged. True: they are counted, so a denial
            speaks of the next one (`RecordFrequency`).
    """
    rule, numbers = each.rule, each.numbers
    told = CapStatus(
        cap_id=rule.id,
        campaign_id=each.campaign_id,
        scope=rule.scope,
        scope_value=each.scope_value,
        subject=each.subject,
        limit=rule.limit,
        denial=each.missing,
    )
    if numbers is None:
        return told
    told.count = numbers.counted + numbers.held
    told.reserved = numbers.held
    told.max_overcount = numbers.overcount
    told.denial = _denial_of(each, 1 if after else impressions)
    if told.denial:
        frees_at = moment(_frees_at(rule, numbers, told.denial))
        if frees_at is not None:
            told.frees_at.CopyFrom(frees_at)
    return told


def denied_by(statuses: Sequence[CapStatus]) -> CapStatus | None:
    """Of caps that deny the one that frees last; None: all allow."""
    denying = [each for each in statuses if each.denial]
    return max(denying, key=_freed, default=None)


def one_each(statuses: Sequence[CapStatus]) -> Iterator[CapStatus]:
    """Of a cap's two subjects the stricter: the one that denies longer, else has less left."""
    seen: dict[tuple[str, str], CapStatus] = {}
    for each in statuses:
        key = (each.campaign_id, each.cap_id)
        old = seen.get(key)
        if old is None or _strictness(each) > _strictness(old):
            seen[key] = each
    return iter(seen.values())


def _strictness(told: CapStatus) -> tuple[bool, float, int]:
    return bool(told.denial), _freed(told) if told.denial else 0, told.count


def _freed(told: CapStatus) -> float:
    if not told.HasField("frees_at"):
        return NEVER
    return told.frees_at.seconds * 1000 + told.frees_at.nanos // 1_000_000


def _asked(rule: CapRule, owner: str, scope_value: str | None, subject: Subject) -> list[Asked]:
    """A cap for each of its subjects, with what is missing."""
    asked = []
    for kind in rule.subjects:
        known = subject.user_id if kind == _USER else subject.household_id
        if rule.window.is_session and not subject.session_id:
            known = ""
        missing = _ALLOWED
        if not known:
            missing = _NO_SUBJECT
        elif scope_value is None:
            missing = _NO_SCOPE
        counts = not missing
        if rule.allows_missing:
            missing = _ALLOWED
        asked.append(Asked(rule, owner, scope_value or "", kind, missing, counts))
    return asked


def _value(
    rule: CapRule, campaign_id: str, told: FrequencyCandidate, settings: Settings | None
) -> str | None:
    """The value of a cap's scope; None: unknown."""
    scope = rule.scope
    if scope == _CUSTOM:
        return told.custom_scopes.get(rule.custom_scope, "")
    if scope == _CAMPAIGN:
        return campaign_id or None
    if scope == _CREATIVE:
        return told.creative_id or None
    if scope == _POD:
        return told.pod_id or None
    campaign = None if settings is None else settings.message
    if scope == _ADVERTISER:
        return told.advertiser or (campaign and campaign.advertiser) or None
    key = told.campaign_key
    if told.WhichOneof("campaign") != "campaign_key" and campaign is not None:
        key = campaign.key
    seat = told.seat or key.seat
    return f"{told.bidder or key.bidder}/{seat}" if seat else None


def _denial_of(each: Asked, add: int) -> "CapDenial.ValueType":
    """Why a cap denies; caps that share a counter are told apart by their own limits."""
    numbers, rule = each.numbers, each.rule
    if numbers is None:
        return each.missing
    why = numbers.why
    if not why:
        return _ALLOWED
    total = numbers.counted + numbers.held + add
    if why & _BY_OVERFLOW or (why & _BY_LIMIT and rule.limit is not None and total > rule.limit):
        return _LIMIT
    rests = numbers.held or (numbers.last_at and each.at < numbers.last_at + rule.cooldown_ms)
    if why & _BY_COOLDOWN and rule.cooldown_ms and rests:
        return _COOLDOWN
    return _ALLOWED


def _frees_at(rule: CapRule, numbers: Numbers, denial: "CapDenial.ValueType") -> int:
    """When it frees: of a session never, since its end is not known."""
    if rule.window.is_session and denial == _LIMIT:
        return NEVER
    return numbers.frees_at
