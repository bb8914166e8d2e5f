"""Settings: a TOML file, overridden by `XSP_…` environment variables.

Read once at the edge (the command line) and handed down as these typed values. A nested setting is
spelled with two underscores in the environment: `XSP_SERVER__LISTEN=0.0.0.0:50051` sets
`server.listen`. A section that a plug-in owns (`[[bidders]]`) stays a plain mapping here and is
checked by `xsp_server.registry`, which knows the plug-in's own model.
"""

import inspect
import json
import re
import textwrap
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from xsp_server import registry
from xsp_server.auction import Rules
from xsp_server.errors import ConfigError
from xsp_server.upstream.groups import GroupSettings
from xsp_server.upstream.guard import GuardSettings
from xsp_server.upstream.notices import NoticeSettings
from xsp_server.upstream.transport import UpstreamConfig
from xsp_server.vast.resolver import ResolverSettings

ENV_PREFIX = "XSP_"

Milliseconds = Annotated[int, Field(ge=1, le=60_000)]


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

    listen: str = "127.0.0.1:50051"
    """Address and port, or `unix:path`. Port 0 takes a free one."""
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
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(f"in {source}:\n{registry.describe(error)}") from None
    except SettingsError as error:
        raise ConfigError(f"in {source}: {error}; lists and sections are JSON there") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; expected a readable TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None


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
    lines += _rules()
    lines += ["", "# Who is asked to bid: one [[bidders]] section each. All take these settings."]
    lines += _section("# [[bidders]]", UpstreamConfig, "bidders")
    for name, transport in registry.registered("transport"):
        own = [f'# type = "{name}"']
        lines += _section("# [[bidders]]", transport.Settings, "bidders", own, UpstreamConfig)
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
    lines = ["", *textwrap.wrap(_summary(model), 96, initial_indent="# ", subsequent_indent="# ")]
    lines += [header, *first]
    nested: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if name in base.model_fields:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            path = f"{prefix}.{name}"
            nested += _section(f"{'# ' if header[0] == '#' else ''}[{path}]", kind, path)
            continue
        about = " ".join((field.description or "").split())
        lines += textwrap.wrap(
            f"{about} Type: {_type_name(kind)}.", 96, initial_indent="# ", subsequent_indent="# "
        )
        lines.append(f"# {name} = {_toml(field.get_default(call_default_factory=True))}")
    return lines + nested


def _rules() -> list[str]:
    """The rules of the auction, their texts out of the docstring that says what they mean."""
    lines = ["", "# What decides fates and prices. Amounts are decimals as text.", "[rules]"]
    defaults = Rules().to_mapping()
    doc = inspect.getdoc(Rules) or ""
    attributes = doc.partition("Attributes:\n")[2].partition("\n\n")[0]
    for name, text in re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE):
        about = " ".join(text.split())
        about = about[0].upper() + about[1:]
        lines += textwrap.wrap(about, 96, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"# {name} = {_toml(defaults.get(name))}")
    return lines


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n\n")[0]


def _type_name(kind: Any) -> str:
    """How a person names a type: its options, or its Python name with None left out."""
    if get_origin(kind) is Literal:
        return " | ".join(json.dumps(option) for option in get_args(kind))
    options = [option for option in get_args(kind) if option is not type(None)]
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(map(_type_name, options))
    if get_origin(kind) is Annotated:
        return _type_name(options[0])
    return _TYPE_NAMES.get(kind, getattr(kind, "__name__", str(kind)))


_TYPE_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true | false",
    Decimal: "decimal, as text",
    Path: "path",
    tuple: "list",
    dict: "table",
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
