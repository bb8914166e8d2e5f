"""The policy as settings: the TOML sections `[privacy]` and, of each bidder, `privacy`.

    [privacy]
    assume_gdpr = false               # and the other attributes of Reading and Precision
    ipv4_bits = 24

    [privacy.rules.gdpr.basic_ads]    # by signal, and by ground where a signal has several
    skip = true                       # bidders are not asked at all
    defaults = true                   # false: start from an empty table

    [privacy.rules.coppa.fields]      # added to the defaults of the rule
    "user.geo" = "remove"
    "device.ip" = { action = "truncate", ipv4_bits = 16 }
    "user.yob" = { action = "round", decimals = -1 }
    "device.ext.*" = "keep"           # out of the defaults

A bidder's section takes `vendor_id`, `exempt` (a list of signals) and `rules`, which change the
exchange's.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from xsp_server.auction.privacy.paths import check
from xsp_server.auction.privacy.rules import DEFAULTS, PREFIX, Rule
from xsp_server.auction.privacy.signals import Reading
from xsp_server.auction.privacy.words import Action, Precision, Signal, Treatment
from xsp_server.errors import ConfigError

KEEP: Final = "keep"
"""Takes a field out of the defaults of a rule."""


def read_policy(
    values: Mapping[str, Any], where: str
) -> tuple[Reading, tuple[Rule, ...], Precision]:
    """The parts of a `PrivacyPolicy`.

    Raises:
        ConfigError: something doesn't fit; the message has a line for each.
    """
    section = _Section(where)
    section.known(values, _OPTIONS.keys() | {"rules"})
    options = section.options(values, _OPTIONS)
    precision = Precision(**{name: options[name] for name in _PRECISION if name in options})
    reading = Reading(**{name: options[name] for name in _READING if name in options})
    base = [_with_precision(rule, precision) for rule in DEFAULTS]
    own = _rules(section, values.get("rules", {}), {rule.id: rule for rule in base}, precision)
    section.done()
    return reading, tuple(own.get(rule.id, rule) for rule in base), precision


def read_bidder(
    values: Mapping[str, Any], rules: tuple[Rule, ...], precision: Precision, where: str
) -> tuple[int | None, frozenset[Signal], tuple[Rule, ...]]:
    """The parts of a `BidderPrivacy`, upon the rules of its exchange.

    Raises:
        ConfigError: something doesn't fit; the message has a line for each.
    """
    section = _Section(where)
    section.known(values, {"vendor_id", "exempt", "rules"})
    options = section.options(values, {"vendor_id": _whole(1, 65535), "exempt": _signals})
    own = _rules(section, values.get("rules", {}), {rule.id: rule for rule in rules}, precision)
    section.done()
    return options.get("vendor_id"), options.get("exempt", frozenset()), tuple(own.values())


def write_policy(reading: Reading, rules: tuple[Rule, ...], precision: Precision) -> dict[str, Any]:
    """What `read_policy` reads back to the same."""
    tables: dict[str, Any] = {}
    for rule in rules:
        *parents, last = rule.id.removeprefix(PREFIX).split(".")
        table = tables
        for name in parents:
            table = table.setdefault(name, {})
        table[last] = {
            "skip": rule.skip,
            "defaults": False,
            "fields": {path: _written(treatment) for path, treatment in rule.fields},
        }
    return {**asdict(reading), **asdict(precision), "rules": tables}


def _written(treatment: Treatment) -> Any:
    if treatment.action is Action.REMOVE:
        return str(Action.REMOVE)
    return {"action": str(treatment.action), **asdict(treatment.precision)}


def _with_precision(rule: Rule, precision: Precision) -> Rule:
    treated = tuple((path, Treatment(what.action, precision)) for path, what in rule.fields)
    return Rule(rule.id, rule.signal, treated, rule.skip)


@dataclass(slots=True)
class _Section:
    """A section that is being read, and what was found wrong in it."""

    where: str
    wrong: list[str] = field(default_factory=list)

    def refuse(self, name: str, value: object, expected: object) -> None:
        self.wrong.append(f"{self.where}.{name}: got {value!r}; expected {expected}")

    def known(self, values: Mapping[str, Any], names: Any, within: str = "") -> None:
        self.wrong += [
            f"{self.where}.{within}{name}: no such setting; expected one of: "
            f"{', '.join(sorted(names))}"
            for name in values
            if name not in names
        ]

    def table(self, name: str, value: object) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self.refuse(name, value, "a table")
        return {}

    def options(
        self, values: Mapping[str, Any], readers: Mapping[str, "_Reader"], within: str = ""
    ) -> dict[str, Any]:
        read = {}
        for name, reader in readers.items():
            if name not in values:
                continue
            try:
                read[name] = reader(values[name])
            except ValueError as error:
                self.refuse(within + name, values[name], error)
        return read

    def done(self) -> None:
        if self.wrong:
            raise ConfigError("\n".join(self.wrong))


_Reader = Callable[[Any], Any]


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - collected with its siblings
    return value


def _whole(least: int, greatest: int) -> _Reader:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= greatest:
            raise ValueError(f"a whole number, {least} to {greatest}")
        return value

    return read


def _signals(value: object) -> frozenset[Signal]:
    if not isinstance(value, list | tuple) or not all(item in list(Signal) for item in value):
        raise ValueError(f"a list of: {', '.join(Signal)}")
    return frozenset(map(Signal, value))


_PRECISION: Final[dict[str, _Reader]] = {
    "ipv4_bits": _whole(0, 32),
    "ipv6_bits": _whole(0, 128),
    "decimals": _whole(-9, 15),
}
_READING: Final[dict[str, _Reader]] = {
    **{item.name: _flag for item in fields(Reading)},
    "tcf_policy_version": _whole(0, 63),
}
_OPTIONS: Final = {**_READING, **_PRECISION}

_RULE: Final[dict[str, _Reader]] = {"skip": _flag, "defaults": _flag}


def _rules(
    section: _Section, values: object, base: Mapping[str, Rule], precision: Precision
) -> dict[str, Rule]:
    """The rules that a section speaks of, by id."""
    read = {}
    for name, rule, table in _rule_tables(section, "rules", section.table("rules", values), base):
        section.known(table, {*_RULE, "fields"}, f"{name}.")
        options = section.options(table, _RULE, f"{name}.")
        treated = dict(rule.fields) if options.get("defaults", True) else {}
        for path, value in _flat(section.table(f"{name}.fields", table.get("fields", {}))):
            try:
                _set(treated, path, value, precision)
            except ValueError as error:
                section.refuse(f'{name}.fields."{path}"', value, error)
        skip = options.get("skip", rule.skip)
        read[rule.id] = Rule(rule.id, rule.signal, tuple(treated.items()), skip)
    return read


def _rule_tables(
    section: _Section, name: str, values: Mapping[str, Any], base: Mapping[str, Rule]
) -> Iterator[tuple[str, Rule, Mapping[str, Any]]]:
    """Finds the tables of rules: by signal, and by ground where the signal has several."""
    for key, value in values.items():
        here = f"{name}.{key}"
        rule = base.get(PREFIX + here.removeprefix("rules."))
        below = [id_ for id_ in base if id_.startswith(f"{PREFIX}{here.removeprefix('rules.')}.")]
        if rule is not None:
            yield here, rule, section.table(here, value)
        elif below:
            yield from _rule_tables(section, here, section.table(here, value), base)
        else:
            names = ", ".join(id_.removeprefix(PREFIX) for id_ in base)
            section.wrong.append(f"{section.where}.{here}: no such rule; expected one of: {names}")


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and what stands there, whether the path was written as one key or as nested tables."""
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and "action" not in value:
            yield from _flat(value, here)
        else:
            yield here, value


def _set(treated: dict[str, Treatment], path: str, value: object, precision: Precision) -> None:
    """Puts one setting of a field among those of its rule.

    Raises:
        ValueError: the path or the setting is wrong; the message says what was expected.
    """
    if value == KEEP:
        check(path, Treatment(Action.REMOVE))
        treated.pop(path, None)
        return
    treatment = _treatment(value, precision)
    check(path, treatment)
    treated[path] = treatment


def _treatment(value: object, precision: Precision) -> Treatment:
    options: Mapping[str, Any] = value if isinstance(value, Mapping) else {"action": value}
    if options["action"] not in list(Action) or not options.keys() <= {"action", *_PRECISION}:
        raise ValueError(
            f"one of: {', '.join(Action)}, {KEEP}; or a table with action, {', '.join(_PRECISION)}"
        )
    numbers = {name: _PRECISION[name](options[name]) for name in _PRECISION if name in options}
    return Treatment(Action(options["action"]), Precision(**{**asdict(precision), **numbers}))
