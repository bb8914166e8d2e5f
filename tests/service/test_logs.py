"""Logs: readable or JSON, and nobody's identity in them."""

import json

import pytest
import structlog

from xsp_server.config import LogSettings
from xsp_server.service import logs


@pytest.fixture(autouse=True)
def restore():
    yield
    structlog.reset_defaults()


def log_line(capsys, settings, **event):
    logs.configure(settings)
    structlog.get_logger("test").info("seen", **event)
    return capsys.readouterr().err


def test_json_is_one_object_a_line(capsys):
    line = log_line(capsys, LogSettings(format="json"), count=3)
    event = json.loads(line)
    assert event["event"] == "seen"
    assert event["count"] == 3
    assert event["level"] == "info"
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_personal_data_is_masked(capsys, format_):
    settings = LogSettings(format=format_)
    line = log_line(capsys, settings, user_id="u-93b1", ip="192.0.2.44", bidder="acme")
    assert "93b1" not in line
    assert "192.0.2" not in line
    assert "acme" in line


def test_masking_can_be_turned_off(capsys):
    settings = LogSettings(format="json", mask_personal_data=False)
    assert "u-93b1" in log_line(capsys, settings, user_id="u-93b1")


def test_events_below_the_level_are_not_written(capsys):
    assert log_line(capsys, LogSettings(level="warning")) == ""


def test_an_exception_is_an_entry_of_its_json_object(capsys):
    logs.configure(LogSettings(format="json"))
    try:
        int("by hand")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "by hand" in json.loads(capsys.readouterr().err)["exception"]


def fail(ifa):
    raise ValueError(f"a bug near {len(ifa)} characters")


def test_an_exception_is_drawn_without_the_variables_around_it(capsys):
    """They hold requests, and with them personal data."""
    logs.configure(LogSettings(format="console"))
    try:
        fail("ab01-cd02")
    except ValueError:
        structlog.get_logger().error("fault", exc_info=True)
    written = capsys.readouterr().err
    assert "ValueError: a bug near 9 characters" in written
    assert "ab01" not in written.replace('fail("ab01-cd02")', "")
