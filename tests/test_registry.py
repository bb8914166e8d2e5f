"""The seam for plug-ins: a section of TOML builds a class of anybody's."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from xsp_server import registry
from xsp_server.errors import ConfigError
from xsp_server.registry import build, configurable, registered


class LampSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    watts: int


@pytest.fixture(autouse=True)
def own_names(monkeypatch):
    """Names registered in a test are gone after it; those of plug-ins stay."""
    registry.load_plugins()
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


class Lamp:
    kind: ClassVar[str] = "lamp"
    Settings: ClassVar[type[BaseModel]] = LampSettings

    def __init__(self, settings: LampSettings):
        self.watts = settings.watts


def test_a_section_builds_the_class_that_its_type_names():
    configurable("plain")(Lamp)
    lamp = build("lamp", {"type": "plain", "watts": 40}, "lamps[0]")
    assert isinstance(lamp, Lamp)
    assert lamp.watts == 40


def test_an_unknown_type_is_told_with_those_that_there_are():
    configurable("plain")(Lamp)
    configurable("bright")(type("BrightLamp", (Lamp,), {}))
    with pytest.raises(ConfigError) as caught:
        build("lamp", {"type": "dim"}, "lamps[3]")
    assert str(caught.value) == "lamps[3].type: got 'dim'; expected one of: bright, plain"


def test_a_missing_type_is_told():
    configurable("plain")(Lamp)
    with pytest.raises(ConfigError, match=r"lamps\[0\].type: got nothing; expected one of: plain"):
        build("lamp", {"watts": 1}, "lamps[0]")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "lamps[1].watts: missing; it has no default"),
        ({"watts": "many"}, "lamps[1].watts: got 'many'; expected a valid integer"),
        ({"watts": 1, "volts": 2}, "lamps[1].volts: no such setting"),
    ],
)
def test_a_setting_that_does_not_fit_is_told_with_its_place(section, message):
    configurable("plain")(Lamp)
    with pytest.raises(ConfigError) as caught:
        build("lamp", {"type": "plain", **section}, "lamps[1]")
    assert message in str(caught.value)


class PaintSettings(BaseModel):
    shop: str = "here"
    colour: str
    file: Path | None = None


class Paint(Lamp):
    Settings: ClassVar[type[BaseModel]] = PaintSettings

    def __init__(self, settings: PaintSettings):
        raise ConfigError(settings.colour)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("colour: got pink; expected red", "lamps[0].colour: got pink; expected red"),
        ("paint.txt: No such file", "lamps[0].file: paint.txt: No such file"),
        ("out of paint", "lamps[0]: out of paint"),
    ],
)
def test_what_the_class_itself_refuses_is_told_with_its_place(message, told):
    configurable("paint")(Paint)
    section = {"type": "paint", "colour": message, "file": "paint.txt"}
    with pytest.raises(ConfigError) as caught:
        build("lamp", section, "lamps[0]")
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"type": "memory", "call": "nomod:fn"}, "bidders[0].call: got nomod:fn; No module"),
        ({"type": "file", "path": "nofile.json"}, "bidders[0].path: nofile.json: No such file"),
        (
            {"type": "http", "endpoint": "https://h/", "ca": "gone.pem"},
            "bidders[0].ca: gone.pem: No such file",
        ),
        (
            {"type": "simulated", "countries": ["US"]},
            "bidders[0].countries[0]: got 'US'; expected ISO 3166-1 alpha-3, as USA",
        ),
        (
            {"type": "simulated", "currencies": ["usd"]},
            "bidders[0].currencies[0]: got 'usd'; expected ISO 4217, as USD",
        ),
        (
            {"type": "simulated", "currency": "usd"},
            "bidders[0].currency: got 'usd'; expected three capital letters of ISO 4217, as USD",
        ),
        (
            {"type": "http", "endpoint": "https://h/", "headers": {"a b": "c"}},
            "expected the name of an HTTP header",
        ),
    ],
)
def test_a_bidder_that_does_not_fit_is_told_with_setting_and_words(section, told):
    with pytest.raises(ConfigError) as caught:
        build("transport", {"name": "acme", **section}, "bidders[0]")
    assert told in str(caught.value)
    assert "pattern" not in str(caught.value)


def test_a_pattern_without_words_is_told_as_it_is():
    class CodeSettings(BaseModel):
        code: Annotated[str, Field(pattern="^[0-9]$")]

    configurable("code")(type("Code", (Lamp,), {"Settings": CodeSettings}))
    with pytest.raises(ConfigError, match=r"lamps\[0\].code: got 'x'; .*pattern"):
        build("lamp", {"type": "code", "code": "x"}, "lamps[0]")


def test_two_classes_can_not_share_a_name():
    configurable("plain")(Lamp)
    with pytest.raises(ConfigError, match='lamp "plain" is registered twice'):
        configurable("plain")(type("OtherLamp", (Lamp,), {}))


def test_kinds_have_names_of_their_own():
    configurable("http")(Lamp)
    assert dict(registered("lamp")) == {"http": Lamp}
    assert dict(registered("transport"))["http"] is not Lamp


def test_a_module_of_another_distribution_is_imported_through_its_entry_point(
    tmp_path, monkeypatch
):
    (tmp_path / "third_party_lamp.py").write_text(
        "from xsp_server.registry import configurable\n"
        "from test_registry import Lamp\n"
        "configurable('third-party')(type('TheirLamp', (Lamp,), {}))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[__name__])
    entry_point = EntryPoint("lamp", "third_party_lamp", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry_point])  # noqa: ARG005
    monkeypatch.setattr(registry, "_loaded_groups", set())
    assert build("lamp", {"type": "third-party", "watts": 5}, "lamps[0]").watts == 5


def test_the_transports_of_the_server_are_there():
    assert {"http", "grpc", "simulated"} <= dict(registered("transport")).keys()
