"""What bidders may see of a request: the policy of an exchange, and what bidders differ in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.privacy import settings, signals
from xsp_server.auction.privacy.paths import Edit, Step, compile_walk
from xsp_server.auction.privacy.redaction import redact
from xsp_server.auction.privacy.rules import DEFAULTS, OF_SIGNAL, Rule
from xsp_server.auction.privacy.signals import Reading, Signals
from xsp_server.auction.privacy.words import Change, Precision, Signal
from xsp_server.errors import ConfigError
from xsp_server.values import value


@dataclass(frozen=True, slots=True)
class BidderPrivacy:
    """What a bidder's own settings say. Equal ones get the same view of a request.

    Attributes:
        vendor_id: the bidder's id in IAB Europe's Global Vendor List; None: it has none.
        exempt: signals that don't count for this bidder, as a contract may allow.
        rules: rules that stand in place of the exchange's rules of the same id.
    """

    vendor_id: int | None = None
    exempt: frozenset[Signal] = frozenset()
    rules: tuple[Rule, ...] = ()


@value
class Disclosure:
    """What a bidder may see.

    Attributes:
        request: its view; the request itself, not a copy, where nothing had to change.
        changes: what was taken from it.
    """

    request: BidRequest
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The bidder must not be asked.

    Attributes:
        signal: what called for it.
        rule_id: the rule that forbids it.
    """

    signal: Signal
    rule_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the policy does to one request for one bidder, worked out.

    The same object stands for the same doings, whichever the bidder: a caller that asks several
    bidders may use it as the key under which it keeps the outcome for the request.

    Attributes:
        refusal: set where the bidder must not be asked.
        walk: what is done otherwise.
    """

    refusal: Refusal | None
    walk: Step

    @property
    def takes_nothing(self) -> bool:
        """Whether it lets through every request as it is."""
        return self.refusal is None and not self.walk.inner and self.walk.raw is None

    def apply(self, request: BidRequest) -> Disclosure | Refusal:
        """The request as the bidder may see it. The request given stays as it is."""
        return self.refusal or Disclosure(*redact(request, self.walk))


_READING: Final = Reading()
_PRECISION: Final = Precision()
_REMEMBERED: Final = 1024
"""Plans that a policy keeps; more than there are combinations in practice."""


@dataclass(frozen=True, slots=True)
class PrivacyPolicy:
    """The policy of an exchange.

    Attributes:
        reading: how signals are read where the standards leave it open.
        rules: every rule, in the order of `rules.DEFAULTS`.
        precision: how much is left where settings say no more than `truncate` or `round`.

    Raises:
        ConfigError: a rule is missing, unknown or out of order.
    """

    reading: Reading = _READING
    rules: tuple[Rule, ...] = DEFAULTS
    precision: Precision = _PRECISION
    _plans: dict[tuple[int, tuple[Rule, ...]], Plan] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Checks that there is one rule for each ground."""
        found, expected = ([rule.id for rule in rules] for rules in (self.rules, DEFAULTS))
        if found != expected:
            raise ConfigError(f"rules: got {', '.join(found)}; expected {', '.join(expected)}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str = "privacy") -> Self:
        """A policy from a TOML section; what is absent has its default. See `settings`.

        Args:
            values: the section.
            where: how errors name it.

        Raises:
            ConfigError: an unknown name or a value that doesn't fit; the message has a line for
                each: which, what was given, what would be right.
        """
        return cls(*settings.read_policy(values, where))

    def bidder(self, values: Mapping[str, Any], where: str = "bidder.privacy") -> BidderPrivacy:
        """A bidder's own settings from a TOML section. What they say of a rule adds to this policy.

        Arguments and errors as in `from_mapping`.
        """
        return BidderPrivacy(*settings.read_bidder(values, self.rules, self.precision, where))

    def to_mapping(self) -> dict[str, Any]:
        """Every setting as values for TOML or JSON that `from_mapping` reads, defaults too."""
        return settings.write_policy(self.reading, self.rules, self.precision)

    def apply(self, request: BidRequest, bidder: BidderPrivacy) -> Disclosure | Refusal:
        """The request as a bidder may see it, or that it must not be asked.

        For several bidders, `read` once, then `plan` for each, and `Plan.apply` once a plan.
        """
        return self.plan(self.read(request), bidder).apply(request)

    def read(self, request: BidRequest) -> Signals:
        """What the request says about privacy, for all bidders."""
        return signals.read(request, self.reading)

    def plan(self, said: Signals, bidder: BidderPrivacy) -> Plan:
        """What is done for one bidder."""
        acting = said.rules_for(bidder.vendor_id, unlisted_vendors=self.reading.unlisted_vendors)
        for signal in bidder.exempt:
            acting &= ~OF_SIGNAL[signal]
        plan = self._plans.get((acting, bidder.rules))
        if plan is None:
            plan = self._make_plan(acting, bidder)
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            self._plans[acting, bidder.rules] = plan
        return plan

    def _make_plan(self, acting: int, bidder: BidderPrivacy) -> Plan:
        own = {rule.id: rule for rule in bidder.rules}
        rules = [
            own.get(rule.id, rule) for place, rule in enumerate(self.rules) if acting >> place & 1
        ]
        refusal = next((Refusal(rule.signal, rule.id) for rule in rules if rule.skip), None)
        return Plan(refusal, compile_walk(_edits(rules)))


def _edits(rules: list[Rule]) -> Iterator[tuple[str, Edit]]:
    for rule in rules:
        for path, treatment in rule.fields:
            yield path, Edit(treatment, rule.signal, rule.id)
