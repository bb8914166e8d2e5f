"""Candidates: which caps hold for what might be shown, and which counters these count in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from xsp.state.v1.frequency_pb2 import (
    CapDenial,
    CapScope,
    CapStatus,
    CapSubject,
    FrequencyCandidate,
    Subject,
)
from xsp_server.state.backend import (
    AMOUNT_MAX,
    ENTRIES_MAX,
    NAME_MAX,
    Book,
    Entry,
    Numbers,
    Outcome,
    Why,
)
from xsp_server.state.campaign_rules import Settings, caps_of
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.cap_rules import REST, CapRule
from xsp_server.state.faults import InvalidField
from xsp_server.state.messages import moment
from xsp_server.state.windows import NEVER, Window, WindowKind
from xsp_server.values import value

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

REMEMBERED: Final = 50_000
"""Caps of candidates that are remembered as they were read; candidates count as one more."""

REMEMBERED_BYTES: Final = 8192
"""Longest candidate that is remembered."""


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


@value
class Asked:
    """One cap for one subject.

    Attributes:
        rule: the cap.
        campaign_id: the campaign that has it; empty: the candidate.
        scope_value: what it counts.
        subject: user or household.
        missing: why it can't be counted, if it denies; unspecified also where it is let pass.
        counter: name of its counter. Empty: it can't be counted.
        window: of the counter.
        rest: name of its cooldown's own counter. Empty: it has none.
    """

    rule: CapRule
    campaign_id: str
    scope_value: str
    subject: "CapSubject.ValueType"
    missing: "CapDenial.ValueType"
    counter: str
    window: Window | None
    rest: str


@value
class Standing:
    """A cap by what the store told of it.

    Attributes:
        asked: the cap.
        numbers: of its counter; None: the store told none.
        rest: of its cooldown's counter, which may be the same.
        at: when the store told them.
    """

    asked: Asked
    numbers: Numbers | None
    rest: Numbers | None
    at: int

    @property
    def rests(self) -> bool:
        """Whether its cooldown is not over, or an impression is under way."""
        rest, cooldown_ms = self.rest, self.asked.rule.cooldown_ms
        if rest is None or not cooldown_ms or not rest.why & _BY_COOLDOWN:
            return False
        return bool(rest.held or (rest.last_at and self.at < rest.last_at + cooldown_ms))

    def is_full(self, add: int) -> bool:
        """Whether its limit has no room for so many; of caps of one counter each has its own."""
        numbers, limit = self.numbers, self.asked.rule.limit
        if numbers is None or not numbers.why & (_BY_LIMIT | _BY_OVERFLOW):
            return False
        if numbers.why & _BY_OVERFLOW:
            return True
        return limit is not None and numbers.counted + numbers.held + add > limit

    def denial(self, add: int) -> "CapDenial.ValueType":
        """Why it denies so many more."""
        if self.numbers is None:
            return self.asked.missing
        if self.is_full(add):
            return _LIMIT
        return _COOLDOWN if self.rests else _ALLOWED

    def frees_at(self, add: int) -> int:
        """When it lets so many pass if nothing else is counted; `NEVER`: not by itself."""
        moment = self._has_room_at(add) if self.is_full(add) else 0
        if self.rest is not None and self.rests:
            rested = self.rest.last_at + self.asked.rule.cooldown_ms
            moment = max(moment, self.rest.frees_at if self.rest.held else rested)
        return moment

    def _has_room_at(self, add: int) -> int:
        """When its limit has room: of a session never, since its end is not known."""
        numbers, window, limit = self.numbers, self.asked.window, self.asked.rule.limit
        if numbers is None or window is None or self.asked.rule.window.is_session:
            return NEVER
        # Only the store knows the steps of a sliding window, and when holds end. What it tells is
        # the latest of all caps that share the counter.
        if numbers.held or window.kind is WindowKind.SLIDING or numbers.why & _BY_OVERFLOW:
            return numbers.frees_at
        return NEVER if limit is not None and add > limit else numbers.ends_at


@value
class Form:
    """What a candidate asks, whoever the subject is and whatever the candidate is called.

    Attributes:
        impressions: what it stands for.
        asked: its caps in order, each once a subject.
        counted: those that can be counted, user before household.
        entries: what these count, caps that share a counter as one entry, the strictest.
        is_missing: whether a cap denies since it can't be counted.
    """

    impressions: int
    asked: tuple[Asked, ...]
    counted: "Mapping[CapSubject.ValueType, Sequence[Asked]]"
    entries: "Mapping[CapSubject.ValueType, tuple[Entry, ...]]"
    is_missing: bool


class Candidate:
    """One candidate with all that its caps ask, and with what the store told of them.

    Attributes:
        id: its name.
        form: what it asks.
        books: books with counters of its caps, in the fixed order: user, household.
    """

    __slots__ = ("_outcomes", "books", "form", "id")

    def __init__(self, id_: str, form: Form, names: Names) -> None:
        """Takes what it asks, and the names of the subject's books."""
        self.id = id_
        self.form = form
        self.books = {names[kind]: kind for kind in form.counted}
        self._outcomes: dict[CapSubject.ValueType, Outcome] = {}

    @property
    def impressions(self) -> int:
        """What it stands for."""
        return self.form.impressions

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Its caps in order, each once a subject."""
        return self.form.asked

    @property
    def is_missing(self) -> bool:
        """Whether a cap denies since it can't be counted."""
        return self.form.is_missing

    @property
    def is_allowed(self) -> bool:
        """Whether no cap denies, by what the store told."""
        if self.form.is_missing:
            return False
        for outcome in self._outcomes.values():
            for numbers in outcome.numbers:
                if numbers.why:
                    return self._is_allowed()
        return True  # nearly all

    def _is_allowed(self) -> bool:
        """The same, where a store refuses: of caps that share a counter not each may."""
        return not any(each.denial(self.form.impressions) for each in self._standings())

    def entries(self, book: str, *, forced: bool = False) -> tuple[Entry, ...]:
        """What it counts in a book."""
        kind = self.books[book]
        if forced:
            return _entries(self.form.counted[kind], self.form.impressions, forced=True)
        return self.form.entries[kind]

    def take(self, book: str, outcome: Outcome) -> None:
        """Takes what the store told of the entries of a book."""
        self._outcomes[self.books[book]] = outcome

    def statuses(self, *, after: bool = False) -> list[CapStatus]:
        """Its caps as they stand.

        Args:
            after: False: its impressions were refused, or only judged. True: they are counted, so
                a denial speaks of the next one (`RecordFrequency`).
        """
        add = 1 if after else self.form.impressions
        return [_status_of(each, add) for each in self._standings()]

    def _standings(self) -> Iterator[Standing]:
        """Each cap with its numbers."""
        told: dict[CapSubject.ValueType, dict[str, Numbers]] = {}
        for kind, outcome in self._outcomes.items():
            counters = [entry.counter for entry in self.form.entries[kind]]
            # A first answer may be of caps that have changed since: what has no number has none.
            told[kind] = dict(zip(counters, outcome.numbers, strict=False))
        for each in self.form.asked:
            here = told.get(each.subject, {})
            numbers = here.get(each.counter)
            at = self._outcomes[each.subject].at if numbers else 0
            yield Standing(each, numbers, here.get(each.rest or each.counter), at)


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
    names = names_of(subject) if names is None else names
    kind = told.WhichOneof("campaign")
    if kind is not None:
        settings = campaigns.of(
            told.campaign_id if kind == "campaign_id" else None,
            told.campaign_key if kind == "campaign_key" else None,
        )
    if settings is not None:
        form = _form(told, subject, campaigns.lineage(settings), settings, now_ms, path)
        return Candidate(told.candidate_id, form, names)
    key = _content(told), bool(subject.user_id), bool(subject.household_id)
    remembered = _remembered.get(key)
    if remembered is None:
        remembered = _form(told, subject, (), None, now_ms, path)
        _remember(key, remembered)
    return Candidate(told.candidate_id, remembered, names)


_Key = tuple[bytes, bool, bool]
"""All that a candidate tells but its name, and which of user and household are known."""

_remembered: Final[dict[_Key, Form]] = {}
"""Candidates of no campaign as they were read: callers send the same ones again and again."""

_room: int = REMEMBERED


def _content(told: FrequencyCandidate) -> bytes:
    """All that a candidate tells, without its name where that comes first."""
    content, id_ = told.SerializeToString(), told.candidate_id
    if (
        content.startswith(b"\n") and id_.isascii() and len(id_) < 128
    ):  # its tag, one byte of length
        return content[2 + len(id_) :]
    return content


def _remember(key: _Key, form: Form) -> None:
    """Keeps what holds at all times and for all sessions."""
    global _room  # noqa: PLW0603 - of a memory that the process has once
    if len(key[0]) > REMEMBERED_BYTES or any(each.rule.window.varies for each in form.asked):
        return
    _room -= 1 + len(form.asked)
    if _room < 0:
        _remembered.clear()
        _room = REMEMBERED
    _remembered[key] = form


def _form(  # noqa: PLR0913, PLR0917 - as `candidate_of`
    told: FrequencyCandidate,
    subject: Subject,
    lineage: Sequence[Settings],
    settings: Settings | None,
    now_ms: int,
    path: str,
) -> Form:
    """What a candidate asks, of a campaign with its parents or of none."""
    impressions = told.impressions if told.HasField("impressions") else 1
    if not 1 <= impressions <= AMOUNT_MAX:
        raise InvalidField(f"{path}.impressions", f"expected 1 or more, got {impressions}")
    own = caps_of(f"{path}.caps", told.caps)
    asked: list[Asked] = []
    for level in lineage:
        for rule in level.caps:
            value_ = _value(rule, level.id, told, settings)
            asked += _asked(rule, level.id, value_, subject, now_ms, path)
    campaign_id = "" if settings is None else settings.id
    for rule in own:
        asked += _asked(rule, "", _value(rule, campaign_id, told, settings), subject, now_ms, path)
    counted: dict[CapSubject.ValueType, list[Asked]] = {}
    for kind in (_USER, _HOUSEHOLD):
        here = [each for each in asked if each.counter and each.subject == kind]
        if here:
            counted[kind] = here
    entries = {kind: _entries(here, impressions) for kind, here in counted.items()}
    most = max(map(len, entries.values()), default=0)
    if most > ENTRIES_MAX:
        expected = f"expected at most {ENTRIES_MAX} counters, those of its campaign among them"
        raise InvalidField(f"{path}.caps", f"{expected}; got {most}")
    return Form(
        impressions=impressions,
        asked=tuple(asked),
        counted=counted,
        entries=entries,
        is_missing=any(each.missing for each in asked),
    )


def _entries(
    asked: Sequence[Asked], impressions: int, *, forced: bool = False
) -> tuple[Entry, ...]:
    """What caps of one book count: those that share a counter as one entry, the strictest."""
    made: dict[str, Entry] = {}
    for each in asked:
        assert each.window is not None  # noqa: S101 - who is in a book has a counter
        limit, cooldown = each.rule.limit, each.rule.cooldown_ms
        counters = [(each.counter, each.window, limit, 0 if each.rest else cooldown)]
        if each.rest:
            counters.append((each.rest, REST, None, cooldown))
        for name, window, most, cooldown_ms in counters:
            entry = Entry(name, window, impressions, most, None, cooldown_ms, forced)
            made[name] = _strictest(entry, made.get(name))
    return tuple(made.values())


def _strictest(entry: Entry, other: Entry | None) -> Entry:
    """One entry for two caps that share a counter."""
    if other is None:
        return entry
    limits = [each.limit for each in (entry, other) if each.limit is not None]
    cooldown_ms = max(entry.cooldown_ms, other.cooldown_ms)
    return replace(entry, limit=min(limits, default=None), cooldown_ms=cooldown_ms)


def _status_of(standing: Standing, add: int) -> CapStatus:
    """One cap as it stands, and whether `add` more are denied."""
    each, numbers = standing.asked, standing.numbers
    rule = each.rule
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
    told.denial = standing.denial(add)
    if told.denial:
        frees_at = moment(standing.frees_at(add))
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


def _asked(  # noqa: PLR0913, PLR0917 - as `candidate_of`
    rule: CapRule, owner: str, scope_value: str | None, subject: Subject, now_ms: int, path: str
) -> list[Asked]:
    """A cap for each of its subjects, with what is missing."""
    asked = []
    for kind in rule.subjects:
        known = subject.user_id if kind == _USER else subject.household_id
        if rule.window.is_session and not subject.session_id:
            known = ""
        missing, counter, window, rest = _ALLOWED, "", None, ""
        if not known:
            missing = _NO_SUBJECT
        elif scope_value is None:
            missing = _NO_SCOPE
        else:
            session_id = subject.session_id
            counter, window, rest = rule.counter(path, scope_value, session_id, now_ms)
        if rule.allows_missing:
            missing = _ALLOWED
        asked.append(Asked(rule, owner, scope_value or "", kind, missing, counter, window, rest))
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
