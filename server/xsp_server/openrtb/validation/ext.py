"""Members of `ext` that no field is for: the text of one JSON object, wherever they stand."""

from typing import Any, Final

import orjson

from xsp_server.openrtb.validation.findings import Findings, Place, shown
from xsp_server.openrtb.validation.plans import Everywhere
from xsp_server.openrtb.validation.result import define

_RAW_JSON: Final = define(
    "ext.raw_json.object",
    "raw_json",
    "the text of one JSON object",
    "this contract; 3.2.1, ext",
)


def _is_object(text: str) -> bool:
    try:
        return type(orjson.loads(text)) is dict
    except orjson.JSONDecodeError:
        return not text  # as if it were absent


def _check(text: Any, place: Place, findings: Findings) -> None:
    if not _is_object(text):
        findings.report(_RAW_JSON, place, shown(text))


EVERYWHERE: Final[dict[str, Everywhere]] = {"raw_json": (_check, _is_object)}
"""What is known about fields by their names."""
