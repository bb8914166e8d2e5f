"""Settings: a TOML file, overridden by `XSP_…` environment variables.

Read once at the edge (the command line) and handed down as these typed values. A nested setting is
spelled with two underscores in the environment: `XSP_SERVER__LISTEN=0.0.0.0:50051` sets
`server.listen`. A section that a plug-in owns (`[[bidders]]`) stays a plain mapping here and is
checked by `xsp_server.registry`, which knows the plug-in's own model.
"""

import inspect
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from xsp_server import registry
from xsp_server.auction import Rules
from xsp_server.auction.privacy.rules import DEFAULTS, PREFIX
from xsp_server.auction.privacy.signals import Reading
from xsp_server.auction.privacy.words import Precision
from xsp_server.auction.schain import ChainNode
from xsp_server.errors import ConfigError
from xsp_server.upstream.groups import GroupSettings
from xsp_server.upstream.guard import GuardSettings
from xsp_server.upstream.notices import NoticeSettings
from xsp_server.upstream.transport import UpstreamConfig
from xsp_server.vast.resolver import ResolverSettings

ENV_PREFIX = "XSP_"

Milliseconds = Annotated[int, Field(ge=1, le=60_000)]


_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\s:/\[\]]+):(\d{1,5})", re.ASCII)


def _listenable(listen: str) -> str:
    """Refuses what gRPC would read in its own way: no port as 443, and 99999 as 34463."""
    found = _HOST_AND_PORT.fullmatch(listen)
    if (found and int(found[1]) <= 65535) or re.fullmatch("unix:.+", listen):
        return listen
    raise ValueError("expected host:port with port 0 to 65535, or unix:PATH")


class Section(BaseModel):
    """A part of the settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TlsSettings(Section):
    """Certificates from PEM files, read again when they are renewed. Plain text without."""

    cert: Path | None = None
    """The server's certificate chain."""
    key: Path | None = None
    """The private key of `cert`."""
    client_ca: Path | None = None
    """Authorities for client certificates. When set, callers must present one."""

    @model_validator(mode="after")
    def _complete(self) -> "TlsSettings":
        if (self.cert is None) != (self.key is None):
            raise ValueError("expected both cert and key, or neither")
        if self.client_ca is not None and self.cert is None:
            raise ValueError("client_ca needs cert and key")
        return self


class ServerSettings(Section):
    """The gRPC face."""

    listen: Annotated[str, AfterValidator(_listenable)] = "127.0.0.1:50051"
    """Address and port, as `127.0.0.1:50051` or `[::1]:50051`, or `unix:PATH`. Port 0 takes a free
    one."""
    tls: TlsSettings = TlsSettings()
    """Certificates; plain text without."""
    max_message_bytes: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 4 * 1024 * 1024
    """Largest message taken or sent, in bytes. A larger one is RESOURCE_EXHAUSTED."""
    max_concurrent_calls: Annotated[int, Field(ge=1)] = 1000
    """Calls worked on at once. One more is RESOURCE_EXHAUSTED, with advice to retry."""
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 10.0
    """On SIGTERM: how long running calls may finish before they are cut."""
    reflection: bool = True
    """Serve the schema, so that `buf curl` and grpcurl work without files."""


class LogSettings(Section):
    """Logs, to standard error. User ids and IP addresses are masked unless told otherwise."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for collectors, one object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""
    mask_personal_data: bool = True
    """Whether user ids and IP addresses are masked."""


class AuctionSettings(Section):
    """How auctions run when the request leaves it open."""

    default_timeout_ms: Milliseconds = 300
    """Time for an auction whose request has no `tmax`, in ms."""
    margin_ms: Annotated[int, Field(ge=0, le=1000)] = 20
    """Kept back from `tmax` and the gRPC deadline for our own work and the way home, in ms."""
    rates_file: Path | None = None
    """A TOML file with exchange rates, read again when it changes: `date = 2026-01-31` and tables
    such as `[rates.USD]` with `EUR = "0.92"`. They come on top of `rules.rates`."""
    rates_max_age_days: Annotated[int, Field(ge=0)] = 7
    """Rates of a file whose `date` is older are not used: bids that need them are refused."""
    fill_macros: bool = True
    """Whether the answer's `adm`, `nurl` and `burl` come with their `${AUCTION_…}` macros filled.
    Only we know the price in the bidder's own currency."""
    seatnonbid: bool = False
    """Whether the answer lists in `ext.seatnonbid` who did not bid and which bids were refused."""


class VastSettings(ResolverSettings):
    """VastService: what following a chain may cost at most, and how its documents are fetched."""

    max_cache_bytes: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024
    """Bytes of documents kept for calls that may share them; HTTP caching says for how long. 0:
    none are kept."""
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Connections open at once, to all hosts."""
    host_connections: Annotated[int, Field(ge=1, le=1_000)] = 16
    """Connections open at once to one host."""
    host_waiting: Annotated[int, Field(ge=0, le=100_000)] = 1_000
    """Fetches that may wait for one of the latter; one more fails at once."""


class StateSettings(Section):
    """Caps and budgets: where they are kept, and what is answered while that is away."""

    url: str = "memory://"
    """The store: `memory://`, `sqlite:///FILE`, `redis://…`, `rediss://…`, `redis+cluster://…` or
    `postgresql://…`. What is in memory ends with the server."""
    fail_policy: Literal["open", "closed"] = "closed"
    """While the store is away, for caps and campaigns that don't say: `closed` refuses, `open` lets
    pass and counts nothing."""
    timeout_ms: Milliseconds = 2_000
    """How long one call of the store may take, in ms. One that takes longer counts as failed."""
    max_calls: Annotated[int, Field(ge=1)] = 10_000
    """Calls of the store under way at once. One more is RESOURCE_EXHAUSTED, or left to policies."""
    failures: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Failures in a row after which the store counts as away: calls fail at once from then on."""
    failure_rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Part of the calls that may fail for ever; above it the store soon counts as away, too."""
    probe_ms: Milliseconds = 500
    """Until the first probe of a store that is away, in ms; each further one takes twice as long,
    and all come up to half of that earlier, by chance."""
    max_probe_ms: Annotated[int, Field(ge=1, le=600_000)] = 30_000
    """Between two probes at most, in ms."""
    ping_ms: Annotated[int, Field(ge=10, le=600_000)] = 5_000
    """How often the store is pinged while it is here, in ms."""
    keep_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3_600
    """How long the ids of calls are known, so that a retry is harmless."""
    auction_ms: Annotated[int, Field(ge=1, le=1_000)] = 10
    """What auctions keep for caps and budgets after their bidders, in ms, once there are campaigns
    or the store is shared; when it is over, policies decide as if the store were away."""
    reservation_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    """How long a reservation holds where neither the call nor its campaign says."""


class RecordSettings(Section):
    """Records of auctions, to be run again by `xsp replay`. They hold personal data."""

    file: Path | None = None
    """Where records are appended. Without it none are kept."""
    max_bytes: Annotated[int, Field(ge=1024 * 1024)] = 256 * 1024 * 1024
    """A file that would get longer is set aside as `FILE.1`, in bytes."""
    keep: Annotated[int, Field(ge=0, le=10_000)] = 8
    """Files set aside that stay; the oldest beyond them is removed."""


class Settings(BaseSettings):
    """Every setting of `xsp serve`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    auction: AuctionSettings = AuctionSettings()
    record: RecordSettings = RecordSettings()
    vast: VastSettings = VastSettings()
    state: StateSettings = StateSettings()
    notices: NoticeSettings = NoticeSettings()
    guard: GuardSettings = GuardSettings()
    rules: dict[str, Any] = {}
    """What decides fates and prices; see `xsp_server.auction.Rules`."""
    privacy: dict[str, Any] = {}
    """What bidders and VAST servers may see; see `xsp_server.auction.privacy.settings`."""
    schain: dict[str, Any] | None = None
    """Our node, appended to `source.schain`; see `xsp_server.auction.schain.ChainNode`."""
    bidders: tuple[dict[str, Any], ...] = ()
    """Who is asked to bid; one `[[bidders]]` section each, built by its `type`."""
    groups: tuple[GroupSettings, ...] = ()
    """In what order bidders are asked; without groups all at once."""

    @model_validator(mode="after")
    def _rules_are_of_bidders(self) -> "Settings":
        """A slip in a name would leave a price as it is, or a bidder unrestricted.

        Raises:
            ConfigError: a rule is for a bidder that isn't there. Pydantic lets it pass as it is.
        """
        bidders = [str(section.get("name")) for section in self.bidders]
        expected = f"one of: {', '.join(bidders)}" if bidders else "[[bidders]], of which are none"
        wrong = [
            f"rules.{rule}.{name}: no such bidder; expected {expected}"
            for rule in ("bid_adjustments", "allow")
            if isinstance(self.rules.get(rule), dict)
            for name in self.rules[rule]
            if name not in bidders
        ]
        if wrong:
            raise ConfigError("\n".join(wrong))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env files
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - nor secret folders
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, which arrives as init arguments."""
        return (env_settings, init_settings)


def load(file: Path | None = None) -> Settings:
    """Reads the settings.

    Args:
        file: a TOML file; without one, environment and defaults alone.

    Raises:
        ConfigError: the file can't be read, isn't TOML, or a setting is wrong. The message has a
            line for each wrong setting: which, what was given, what would be right.
    """
    values = _read(file) if file else {}
    source = (
        f"{file} or the environment ({ENV_PREFIX}…)" if file else f"environment ({ENV_PREFIX}…)"
    )
    try:
        _check_environment(os.environ)
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(f"in {source}:\n{registry.describe(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"in {source}:\n{error}") from None
    except SettingsError as error:
        raise ConfigError(f"in {source}: {error}; lists and sections are JSON there") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; expected a readable TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None


def _check_environment(variables: Iterable[str]) -> None:
    """Refuses variables that look like settings and would be passed over.

    Others of our prefix are left alone: tools have theirs, and Kubernetes makes `XSP_PORT` and
    more of a service named xsp.

    Raises:
        ConfigError: there are some; the message has a line for each.
    """
    names = {name.upper().removeprefix(ENV_PREFIX): name for name in variables}
    sections = {name.upper() for name in Settings.model_fields}
    settings = list(_environment_names(Settings))
    wrong = []
    for name, variable in names.items():
        if variable.upper() == name or name.partition("__")[0] in sections:
            continue  # not ours; or of a section, which knows its settings
        meant = _meant(name, settings)
        if meant is not None:
            wrong.append(f"{variable}: no such setting; did you mean {ENV_PREFIX}{meant}?")
        elif "__" in name:
            wrong.append(f"{variable}: no such setting; `xsp config` lists all")
    if wrong:
        raise ConfigError("\n".join(wrong))


def _environment_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _environment_names(field.annotation, f"{path}__")
        else:
            yield path


def _meant(name: str, settings: Iterable[str]) -> str | None:
    """The setting that a name is nearly: its last part alone, one underscore for two, a slip."""
    flat: dict[str, str] = {}
    for setting in settings:
        if setting.rpartition("__")[2] == name:
            return setting
        flat[setting.replace("__", "_")] = setting
    close = get_close_matches(name.replace("__", "_"), flat, n=1, cutoff=0.85)
    return flat[close[0]] if close else None


def template() -> str:
    """A commented TOML file with every setting, its type and its default.

    Settings that plug-ins own are listed too: one `[[bidders]]` section a transport.
    """
    lines = [
        "# Settings of xsp serve. Every line shows the default; remove the # to change it.",
        f"# The environment overrides this file: {ENV_PREFIX}SERVER__LISTEN sets server.listen.",
    ]
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += _section(f"[{name}]", field.annotation, name)
    lines += _about("What decides fates and prices. Amounts are decimals as text.", "[rules]")
    lines += _documented(Rules, Rules().to_mapping())
    lines += _about("What bidders and VAST servers may see of a request.", "[privacy]")
    lines += _documented(Reading) + _documented(Precision) + _privacy_rules()
    lines += _about(
        "Our node of the supply chain, appended to `source.schain`. Without this section chains "
        "are handed on as they came.",
        "# [schain]",
    )
    lines += _documented(ChainNode)
    lines += ["", "# Who is asked to bid: one [[bidders]] section each. All take these settings."]
    lines += _section("# [[bidders]]", UpstreamConfig, "bidders")
    for name, transport in registry.registered("transport"):
        own = [f'# type = "{name}"']
        lines += _section("# [[bidders]]", transport.Settings, "bidders", own, UpstreamConfig)
    lines += [
        "",
        "# In what order bidders are asked: one [[groups]] section each. Without: at once.",
    ]
    lines += _section("# [[groups]]", GroupSettings, "groups")
    return "\n".join(lines) + "\n"


def _section(
    header: str,
    model: type[BaseModel],
    prefix: str,
    first: Sequence[str] = (),
    base: type[BaseModel] = BaseModel,
) -> list[str]:
    """A model's fields as commented TOML, its nested models as sections of their own.

    Args:
        header: the section's own line; commented out, so are those below it.
        model: whose fields; those of `base` are left out.
        prefix: path of the section.
        first: lines to begin with.
        base: see `model`.
    """
    lines = [*_about(_summary(model), header), *first]
    nested: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if name in base.model_fields:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            path = f"{prefix}.{name}"
            nested += _section(f"{'# ' if header[0] == '#' else ''}[{path}]", kind, path)
            continue
        default = field.get_default(call_default_factory=True)
        lines += _setting(name, field.description or "", kind, default)
    return lines + nested


def _about(text: str, header: str) -> list[str]:
    return ["", *_comment(text), header]


def _setting(name: str, about: str, kind: Any, default: Any) -> list[str]:
    lines = _comment(f"{' '.join(about.split())} Type: {_type_name(kind)}.")
    return [*lines, f"# {name} = {_toml(default)}"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def _documented(model: type[Any], defaults: Mapping[str, Any] | None = None) -> list[str]:
    """The fields of a dataclass, their texts out of the docstring that says what they mean.

    Args:
        model: the dataclass; `Attributes:` is the last part of its docstring, or `Raises:` follows.
        defaults: as TOML has them; None: those of the dataclass.
    """
    attributes = (inspect.getdoc(model) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    kinds = get_type_hints(model)
    own = {field.name: field.default for field in fields(model)}
    lines = []
    for name, text in re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE):
        default = own[name] if defaults is None else defaults.get(name)
        if default is MISSING:
            default = PydanticUndefined
        lines += _setting(name, text[0].upper() + text[1:], kinds[name], default)
    return lines


def _privacy_rules() -> list[str]:
    """How a rule of privacy is changed, shown by one of them."""
    names = ", ".join(rule.id.removeprefix(PREFIX) for rule in DEFAULTS)
    lines = _about(
        f"A rule of privacy: what is done when its signal says so. The rules are {names}.",
        "# [privacy.rules.coppa]",
    )
    lines += _setting("skip", "Whether bidders are not asked at all.", bool, False)
    lines += _setting(
        "defaults", "Whether the rule begins from its own table of fields.", bool, True
    )
    lines += _about(
        'What is done to each field: "keep", "remove", or a table with the action "truncate" (of '
        'an IP address: ipv4_bits and ipv6_bits) or "round" (of a number: decimals).',
        "# [privacy.rules.coppa.fields]",
    )
    return [
        *lines,
        '# "user.geo" = "remove"',
        '# "device.ip" = { action = "truncate", ipv4_bits = 16 }',
        '# "user.yob" = { action = "round", decimals = -1 }',
    ]


def _summary(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _type_name(kind: Any) -> str:
    """How a person names a type: its options, or a word of ours, with None left out."""
    if get_origin(kind) is not None:
        return _generic_name(get_origin(kind), get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(json.dumps(option.value) for option in kind)
    if isinstance(kind, type) and issubclass(kind, AnyUrl):
        return "URL"
    return str(_TYPE_NAMES.get(kind) or getattr(kind, "type_name", kind))


def _generic_name(origin: Any, arguments: Sequence[Any]) -> str:
    if origin is Literal:
        return " | ".join(map(json.dumps, arguments))
    if origin in (Union, UnionType):
        names = [_type_name(option) for option in arguments if option is not type(None)]
        return " | ".join(dict.fromkeys(names))
    if origin is Annotated:
        return _type_name(arguments[0])
    if issubclass(origin, Mapping):
        entry = arguments[1]
        return "table" if entry is Any else f"table of {_plural(_type_name(entry))}"
    return f"list of {_plural(_type_name(arguments[0]))}"


def _plural(name: str) -> str:
    """A name of a type for several of it; a list of options stays one."""
    word, *rest = re.split("(?=,| of )", name, maxsplit=1)
    return name if "|" in name or word == "text" else f"{word}s{''.join(rest)}"


_TYPE_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true | false",
    Decimal: "decimal, as text",
    Fraction: "decimal, as text",
    Path: "path",
    IPvAnyNetwork: "network",
}


def _toml(value: Any) -> str:
    """A default as TOML; what has none shows as an empty comment."""
    if value is None or value is PydanticUndefined:
        return "" if value is None else "…  (required)"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value if isinstance(value, (bool, int, float)) else str(value))
