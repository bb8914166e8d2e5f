"""`xsp vast`: resolve a chain here, or say what is wrong with a document."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click
import uvloop
from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from xsp.vast.v1.resolution_pb2 import FiringDuty, Hop, Resolution, ResolvedAd
from xsp.vast.v1.resolve_options_pb2 import (
    ResolveOptions,
    TagGroup,
    TagGroupMode,
    VastSource,
)
from xsp.vast.v1.vast_lists_pb2 import FailureReason
from xsp.vast.v1.violations_pb2 import Violation, ViolationRule, ViolationSeverity
from xsp_server.cli.words import counted, width
from xsp_server.errors import XspError
from xsp_server.upstream.guard import GuardSettings
from xsp_server.upstream.vast_upstream import VastSettings, VastUpstream
from xsp_server.vast.lint import lint
from xsp_server.vast.resolver import TagRefused, VastChainResolver


@click.group("vast")
def command() -> None:
    """VAST 2.0 to 4.3: follow chains, check documents."""


@command.command("resolve")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--ask",
    type=click.Choice(["waterfall", "parallel", "first"]),
    default="waterfall",
    show_default=True,
    help="Several sources: one by one, all at once, or all at once until one has an ad.",
)
@click.option("--user", "user_id", help="User id of the session.")
@click.option("--max-hops", type=click.IntRange(0, 20), default=5, show_default=True)
@click.option("--base", help="Address of a FILE; relative ones resolve against it.")
@click.option("--allow-private", is_flag=True, help="Follow addresses of private networks, too.")
@click.option("--xml", "as_xml", is_flag=True, help="Print the merged document.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole Resolution as JSON.")
def resolve(
    sources: tuple[str, ...],
    ask: str,
    user_id: str | None,
    max_hops: int,
    base: str | None,
    allow_private: bool,
    as_xml: bool,
    as_json: bool,
) -> None:
    """Follow a tag's URL, or a file, to its ads.

    Draws the chain of documents from each SOURCE: an http(s) URL, a file, or `-` for standard
    input. Exit status 1 where there is no ad.
    """
    starts = [_source(source, base) for source in sources]
    if ask in _MODES:
        starts = [VastSource(group=TagGroup(mode=_MODES[ask], members=starts))]
    try:
        resolution = uvloop.run(_resolve(starts, user_id, max_hops, allow_private))
    except TagRefused as error:
        # The guard speaks to servers, which have settings; here an option stands in their place.
        told = str(error).replace(" (port)", ", or --allow-private (port)")
        raise XspError(told.replace("or one in the settings", "or --allow-private")) from None
    if as_json:
        click.echo(MessageToJson(resolution, preserving_proto_field_name=True))
    elif as_xml:
        click.echo(resolution.xml)
    else:
        draw(resolution, Console(soft_wrap=True, highlight=False, width=width()))
    sys.exit(0 if resolution.ads else 1)


@command.command("lint")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True)
def lint_files(files: tuple[BinaryIO, ...]) -> None:
    """Say where FILES deviate from their version of VAST.

    Tells line, path and rule. Exit status 1 if anything is an error.
    """
    console = Console(soft_wrap=True, highlight=False)
    failed = False
    for file in files:
        try:
            violations = lint(file.read())
        except XspError as error:
            console.print(Text(f"{file.name}: ").append(str(error), "bold red"))
            failed = True
            continue
        errors = sum(each.severity == _ERROR for each in violations)
        failed |= errors > 0
        verdict = Text("ok", "green") if not errors else Text(counted(errors, "error"), "bold red")
        console.print(Text(f"{file.name}: ").append(verdict))
        for violation in violations:
            console.print(_violation(violation))
    sys.exit(int(failed))


_MODES = {
    "parallel": TagGroupMode.TAG_GROUP_MODE_PARALLEL,
    "first": TagGroupMode.TAG_GROUP_MODE_FIRST,
}
_ERROR = ViolationSeverity.VIOLATION_SEVERITY_ERROR


def draw(resolution: Resolution, console: Console) -> None:
    """A chain as a tree: each step below the one that led to it, and what came out at the end."""
    root = Tree(Text(_outcome(resolution), "bold"))
    places: dict[int, Tree] = {}
    for hop in resolution.hops:
        above = places[hop.parent_hop] if hop.HasField("parent_hop") else root
        places[hop.index] = above.add(_hop(hop))
    for ad in resolution.ads:
        places[ad.chain[-1].hop].add(_ad(ad))
    for failure in resolution.failures:
        reason = _words(FailureReason.Name(failure.reason), "FAILURE_REASON_")
        places[failure.hop].add(Text(f"{failure.code} {reason}: {failure.message}", "red"))
    for left_out in resolution.left_out_ads:
        reason = _words(FailureReason.Name(left_out.reason), "FAILURE_REASON_")
        places[left_out.ad.hop].add(Text(f"ad {left_out.ad.ad_id} left out: {reason}", "dim"))
    console.print(root)
    for url in resolution.error_plan:
        duty = _words(FiringDuty.Name(url.duty), "FIRING_DUTY_")
        console.print(Text(f"Error URL that {duty} be requested: {url.url}", "dim"))


async def _resolve(
    starts: Sequence[VastSource], user_id: str | None, max_hops: int, allow_private: bool
) -> Resolution:
    guard = GuardSettings()
    if allow_private:
        guard = GuardSettings(allow_networks=("0.0.0.0/0", "::/0"), ports=())
    section = {"name": "command line", "guard": guard}
    async with VastUpstream(VastSettings.model_validate(section)) as upstream:
        resolver = VastChainResolver(upstream)
        options = ResolveOptions(max_hops=max_hops)
        return await resolver.resolve(starts, user_id=user_id, options=options)


def _source(source: str, base: str | None) -> VastSource:
    if source.startswith(("http://", "https://")):
        return VastSource(tag_uri=source)
    if "://" in source:
        raise click.BadParameter(f"{source}: expected an http:// or https:// URL, or a file")
    try:
        document = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{source}: {error.strerror}; expected a URL or a file") from None
    return VastSource(document=document, base_uri=base)


def _outcome(resolution: Resolution) -> str:
    ads, failures = len(resolution.ads), len(resolution.failures)
    took = resolution.elapsed.ToMicroseconds() / 1000
    counts = ((ads, "ad"), (failures, "failure"), (resolution.fetch_count, "request"))
    return ", ".join([*(counted(*each) for each in counts), f"{took:.1f} ms"])


def _hop(hop: Hop) -> Text:
    line = Text(hop.final_url or hop.url or hop.tag_uri or "document")
    status = f" {hop.http_status}" if hop.HasField("http_status") else ""
    version = f" VAST {hop.version}" if hop.version else ""
    took = hop.elapsed.ToMicroseconds() / 1000
    line.append(f"{status}{version} {hop.body_bytes} bytes {took:.1f} ms", "dim")
    if hop.redirects:
        line.append(f" after {counted(len(hop.redirects), 'redirect')}", "dim")
    if hop.code:
        line.append(f" {hop.code} {hop.message}", "red")
    elif hop.reason:
        line.append(f" {hop.message}", "dim")
    return line


def _ad(resolved: ResolvedAd) -> Text:
    inline, seconds = resolved.ad.inline, resolved.metadata.duration.ToMilliseconds() / 1000
    line = Text(f"ad {resolved.ad.id}", "bold green")
    line.append(f" {inline.ad_title}", "green")
    line.append(
        f" {seconds:g} s, {counted(resolved.wrapper_count, 'wrapper')}, "
        f"{counted(len(resolved.tracking_urls), 'tracking URL')}"
    )
    return line


def _violation(violation: Violation) -> Text:
    severity = _words(ViolationSeverity.Name(violation.severity), "VIOLATION_SEVERITY_")
    rule = _words(ViolationRule.Name(violation.rule), "VIOLATION_RULE_")
    style = "bold red" if severity == "error" else "yellow"
    line = Text("  ").append(f"{severity:8}", style)
    line.append(f"{violation.line}: {violation.path}: {violation.message}")
    return line.append(f"  [{rule}]", "dim")


def _words(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
