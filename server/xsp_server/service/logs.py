"""Logs: structlog to standard error, personal data masked."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from xsp_server.config import LogSettings

PERSONAL = frozenset({"buyeruid", "device_id", "ifa", "ip", "ipv6", "user_id", "household_id"})
"""Keys whose values tell who somebody is."""

Event = MutableMapping[str, Any]


def configure(settings: LogSettings) -> None:
    """Sets up structlog for the whole process."""
    finish = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default one draws all variables, and with them the requests that they hold.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.format == "json":  # the console renderer draws exceptions itself
        processors.append(structlog.processors.format_exc_info)
    if settings.mask_personal_data:
        processors.append(mask_personal_data)
    structlog.configure(
        processors=[*processors, finish],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def mask_personal_data(_logger: object, _method: str, event: Event) -> Event:
    """Leaves two characters of each personal value: enough to see whether there was one."""
    for key in PERSONAL & event.keys():
        event[key] = f"{str(event[key])[:2]}…"
    return event
