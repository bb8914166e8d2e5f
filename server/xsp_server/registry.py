"""The seam for plug-ins: classes that a TOML section can build.

A class joins by `@configurable("name")`. It says what it is by `kind` (its base class sets it) and
what it needs by `Settings`, a pydantic model:

    @configurable("http")
    class HttpTransport(Transport):            # kind = "transport"
        class Settings(TransportSettings):
            endpoint: HttpUrl

        def __init__(self, settings: Settings) -> None: ...

and this section builds it:

    [[bidders]]
    type = "http"
    endpoint = "https://bidder.example/openrtb2"

Classes of other distributions are found through the entry point group `xsp.plugins`: an entry
point names a module, and importing it registers the classes inside.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from xsp_server.errors import ConfigError

ENTRY_POINT_GROUP = "xsp.plugins"
"""Where distributions, this one included, name the modules whose classes join."""


class Configurable(Protocol):
    """What `@configurable` asks of a class.

    Attributes:
        kind: the family whose names it shares, as `transport`.
        Settings: the model of its TOML section; unknown keys should be forbidden there.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[BaseModel]]

    def __init__(self, settings: Any, /) -> None:
        """Builds the thing from a validated instance of `Settings`."""


C = TypeVar("C", bound=type[Configurable])

_classes: dict[tuple[str, str], type[Configurable]] = {}
_loaded_groups: set[str] = set()


def configurable(name: str) -> Callable[[C], C]:
    """Registers the decorated class as `name` under its `kind`.

    Raises:
        ConfigError: another class holds that name already.
    """

    def register(cls: C) -> C:
        other = _classes.setdefault((cls.kind, name), cls)
        if other is not cls:
            raise ConfigError(
                f'{cls.kind} "{name}" is registered twice: by {_origin(other)} and '
                f"{_origin(cls)}; names are unique within a kind"
            )
        return cls

    return register


def registered(kind: str) -> Iterator[tuple[str, type[Configurable]]]:
    """Names and classes of one kind, by name, those of plug-ins included."""
    load_plugins()
    return iter(sorted((name, cls) for (k, name), cls in _classes.items() if k == kind))


def build(kind: str, section: Mapping[str, Any], where: str) -> Any:
    """Builds what a TOML section describes; its `type` names the class.

    Args:
        kind: the family to look in, as `transport`.
        section: the keys and values of the section.
        where: how errors name the section, as `bidders[0]`.

    Raises:
        ConfigError: the type is missing or unknown, or a setting doesn't fit.
    """
    known = dict(registered(kind))
    name = section.get("type")
    if not isinstance(name, str) or name not in known:
        found = "nothing" if name is None else repr(name)
        raise ConfigError(f"{where}.type: got {found}; expected one of: {', '.join(known)}")
    cls = known[name]
    values = {key: value for key, value in section.items() if key != "type"}
    try:
        settings = cls.Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe(error, where)) from None
    try:
        return cls(settings)
    except ConfigError as error:
        raise ConfigError(f"{where}{_place(settings, str(error))}") from None


def load_plugins() -> None:
    """Imports every module that an installed distribution names in our entry point group, once."""
    if ENTRY_POINT_GROUP in _loaded_groups:
        return
    _loaded_groups.add(ENTRY_POINT_GROUP)
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        entry_point.load()


def describe(error: ValidationError, where: str = "") -> str:
    """One line a wrong setting: which, what was given, what would be right."""
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        path = where
        for part in item["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        if item["type"] == "extra_forbidden":
            lines.append(f"{path}: no such setting")
        elif item["type"] == "missing":
            lines.append(f"{path}: missing; it has no default")
        else:
            lines.append(f"{path}: got {item['input']!r}; {_expected(item)}")
    return "\n".join(lines)


def _expected(error: ErrorDetails) -> str:
    """What would be right: a form in words where there are some, else pydantic's message."""
    form = next((_FORMS[part] for part in error["loc"] if part in _FORMS), None)
    if form is not None and error["type"] == "string_pattern_mismatch":
        return f"expected {form}"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message.replace("should be", "expected", 1)


_FORMS: Final[Mapping[int | str, str]] = {
    "countries": "ISO 3166-1 alpha-3, as USA",
    "blocked_countries": "ISO 3166-1 alpha-3, as USA",
    "currencies": "ISO 4217, as USD",
    "headers": "the name of an HTTP header, and a value without control characters",
}
"""What settings of a pattern hold, by their names."""


def _place(settings: BaseModel, message: str) -> str:
    """A class's own message, behind the setting that it begins with: by name, or by value.

    So `call: got …` becomes `.call: got …`, and `FILE: No such file` becomes `.path: FILE: …`.
    """
    for name, value in settings:
        if message.startswith(f"{name}: "):
            return f".{message}"
        if isinstance(value, Path) and message.startswith(f"{value}: "):
            return f".{name}: {message}"
    return f": {message}"


def _origin(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
