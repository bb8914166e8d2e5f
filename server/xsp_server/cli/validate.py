"""`xsp validate`."""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import BinaryIO

import click
from rich.console import Console
from rich.text import Text

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.cli.words import counted
from xsp_server.errors import InvalidRequest, TooDeep
from xsp_server.openrtb import codec
from xsp_server.openrtb.validation import (
    BidRequestValidator,
    BidResponseValidator,
    Severity,
    Violation,
)

Judge = Callable[[bytes], list[Violation]]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


@click.command("validate")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True)
@click.option("--response", is_flag=True, help="FILES are bid responses.")
@click.option(
    "--request",
    "request_file",
    type=click.File("rb"),
    help="FILES are responses to this request: what depends on it is checked, too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each file.")
def command(
    files: tuple[BinaryIO, ...], response: bool, request_file: BinaryIO | None, as_json: bool
) -> None:
    """Say what is wrong with OpenRTB 2.6 bid requests or responses: path, rule, expectation.

    FILES are JSON; `-` is standard input. Exit status 1 if anything is an error.
    """
    judge: Judge = _judge_request
    if response or request_file is not None:
        judge = _response_judge(request_file)
    failed = False
    for file in files:
        violations = judge(file.read())
        failed |= any(violation.severity is Severity.ERROR for violation in violations)
        show = _print_json if as_json else _print_text
        show(getattr(file, "name", "-"), violations)
    sys.exit(int(failed))


def _judge_request(data: bytes) -> list[Violation]:
    try:
        parsed = codec.parse_bid_request(data)
    except (InvalidRequest, TooDeep) as error:
        return list(_unreadable(error))
    result = BidRequestValidator().validate(parsed.message)
    return [*result.violations, *_unknown(parsed.unknown)]


def _response_judge(request_file: BinaryIO | None) -> Judge:
    request: BidRequest | None = None
    if request_file is not None:
        request = codec.parse_bid_request(request_file.read()).message

    def judge(data: bytes) -> list[Violation]:
        try:
            parsed = codec.parse_bid_response(data)
        except (InvalidRequest, TooDeep) as error:
            return list(_unreadable(error))
        result = BidResponseValidator().validate(parsed.message, request)
        return [*result.violations, *_unknown(parsed.unknown)]

    return judge


def _unreadable(error: InvalidRequest | TooDeep) -> Iterable[Violation]:
    """What the codec refused, as violations: the validator never saw the message."""
    if isinstance(error, TooDeep):
        yield Violation("", "json.depth", Severity.ERROR, "deeper nesting", str(error))
        return
    for violation in error.violations:
        expected, told, found = violation.description.partition(", got ")
        if told:
            expected = expected.removeprefix("expected ")
        else:  # what the parser said of a text that isn't JSON at all
            expected, found = "JSON", f"an error{violation.description.removeprefix('not JSON')}"
        yield Violation(violation.path, "json.type", Severity.ERROR, found, expected)


def _unknown(paths: Iterable[str]) -> Iterable[Violation]:
    for path in paths:
        yield Violation(
            path, "json.unknown", Severity.WARNING, "a member", "one that OpenRTB 2.6 has"
        )


def _print_json(name: str, violations: list[Violation]) -> None:
    errors = sum(violation.severity is Severity.ERROR for violation in violations)
    verdict = {
        "file": name,
        "ok": not errors,
        "errors": errors,
        "warnings": len(violations) - errors,
        "violations": [asdict(violation) for violation in violations],
    }
    click.echo(json.dumps(verdict))


def _print_text(name: str, violations: list[Violation]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    errors = sum(violation.severity is Severity.ERROR for violation in violations)
    verdict = Text("ok", "green") if not errors else Text(counted(errors, "error"), "bold red")
    warnings = counted(len(violations) - errors, "warning")
    console.print(Text(f"{name}: ").append(verdict).append(f", {warnings}"))
    for violation in violations:
        line = Text("  ").append(f"{violation.severity:8}", _STYLES[violation.severity])
        line.append(f"{violation.path or '(document)'}: {violation.description}")
        console.print(line.append(f"  [{violation.rule}]", "dim"))
