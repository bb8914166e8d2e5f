"""What has to hold for any input at all.

Each check returns what the input showed, such as the rule that refused it, so that inputs which
show something new can be told from the others.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from fuzz.inputs import Document, Input, Macros, Message
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.faults import VastUnreadable, VastUnwritable
from xsp_server.vast.lint import lint
from xsp_server.vast.macros import MACROS, Absence, Source, Spelling, Value, fill
from xsp_server.vast.merge import Link, merge, way_of
from xsp_server.vast.metadata import metadata_of
from xsp_server.vast.parse import parse
from xsp_server.vast.render import Rendered, render
from xsp_server.vast.schema import VERSIONS, version_of

Shown = tuple[str, ...]
"""One thing that an input showed."""


class Broken(Exception):
    """A rule that doesn't hold for an input."""


def check(one: Input) -> set[Shown]:
    """Runs an input through everything that is for it.

    Raises:
        Exception: any at all says that something is wrong with the code.
    """
    match one:
        case Document(data, charset):
            return set(_document(data, charset))
        case Message():
            return set(_message(one.vast, is_read=False))
        case Macros():
            return set(_macros(one))


def hold(holds: bool, rule: str) -> None:
    """Sees that a rule holds.

    Raises:
        Broken: it doesn't.
    """
    if not holds:
        raise Broken(rule)


def _document(data: bytes, charset: str | None) -> Iterator[Shown]:
    """Reading, checking and writing agree with each other; nothing but refusals is raised."""
    try:
        vast = parse(data, charset=charset)
    except VastUnreadable as error:
        refusal = error
    else:
        for violation in lint(data, charset=charset):
            hold(violation.line > 0, "every deviation has a line")
            yield ("lint", str(violation.rule), violation.path.rpartition("/")[2].split("[")[0])
        yield from _message(vast, is_read=True)
        return
    yield ("refused", str(refusal.rule))
    try:
        lint(data, charset=charset)
    except VastUnreadable as error:
        hold(error.rule == refusal.rule, "lint refuses what parse does, by the same rule")
    else:
        raise Broken("lint refuses what parse does")


def _message(vast: vast_pb2.Vast, *, is_read: bool) -> Iterator[Shown]:
    yield from _written(vast, is_read=is_read)
    yield from _merged(vast)


def _written(vast: vast_pb2.Vast, *, is_read: bool) -> Iterator[Shown]:
    """What was written is read as the same again, whatever the message holds."""
    own = version_of(vast.version)
    if own is None:
        try:
            render(vast)
        except VastUnwritable:
            yield ("unwritable",)
        else:
            raise Broken("a version that isn't known can't be written")
    else:
        yield from _round_trip(vast, own, is_read=is_read)
    # Some messages meet another version, too: which one, their size says.
    size = vast.ByteSize()
    other = VERSIONS[size % len(VERSIONS)]
    if other != own and (own is None or size % 5 < 2):
        yield from _round_trip(vast, other, is_read=False)


def _round_trip(vast: vast_pb2.Vast, version: int, *, is_read: bool) -> Iterator[Shown]:
    """Writes, reads and writes again; `is_read`: the message was read of this very version."""
    rendered = render(vast, version=version, indent=vast.ByteSize() % 2 == 0)
    for violation in rendered.violations:
        yield ("render", str(violation.rule))
    try:
        again = parse(rendered.xml.encode())
    except VastUnreadable as error:
        # With its kept XML a document may grow beyond the limits of reading; nothing else may be.
        hold(error.rule in _LARGE, f"what was written can be read ({error})")
        return
    if is_read and not _left_out(rendered):
        hold(again == vast, "parse(render(parse(x))) == parse(x)")
        return
    once = render(again, version=version)
    # Kept XML may now be read as what was left out, and not fit again.
    if not _left_out(once):
        hold(parse(once.xml.encode()) == again, "parse(render(m)) == m for whatever was read")


_LARGE = {lists.FAILURE_REASON_BODY_TOO_LARGE, lists.FAILURE_REASON_DOCUMENT_TOO_COMPLEX}


def _left_out(rendered: Rendered) -> bool:
    return any(not violation.HasField("line") for violation in rendered.violations)


def _merged(vast: vast_pb2.Vast) -> Iterator[Shown]:
    """A chain of all the document's Wrappers, then each InLine, folds without loss or trace."""
    wrappers = [ad for ad in vast.ads if ad.HasField("wrapper")][:5]
    inlines = [ad for ad in vast.ads if not ad.HasField("wrapper")][:3]
    before = vast.SerializeToString(deterministic=True)
    for ad in vast.ads[:5]:
        metadata_of(ad)
    for inline in inlines or ([vast_pb2.Ad()] if wrappers else []):
        links = [Link(ad, hop, 0, vast.version) for hop, ad in enumerate((*wrappers, inline))]
        resolved = merge(links, sequence=len(wrappers) or None)
        hold(resolved.ad.WhichOneof("content") != "wrapper", "what is merged is an InLine")
        way = way_of(links)
        hold(way.wrapper_count == len(wrappers) == resolved.wrapper_count, "all links count")
        for name in ("impressions", "errors", "extensions"):
            parts = sum(len(getattr(link.content, name)) for link in links)
            merged = len(getattr(resolved.ad.inline, name))
            hold(merged == parts, f"{name} add up, duplicates stay")
        hops = {each.hop for each in resolved.tracking_urls}
        hold(hops <= set(range(len(links))), "every URL comes from a link")
        metadata_of(inline, wrappers=[ad.wrapper for ad in wrappers], hops=range(len(links)))
        render(vast_pb2.Vast(ads=[resolved.ad]), version=VERSIONS[-1])
        yield ("merge", str(len(links)))
    hold(before == vast.SerializeToString(deterministic=True), "merging changes nothing given")


def _macros(one: Macros) -> Iterator[Shown]:
    """Filling changes the macros and nothing else, by a reading of its own."""
    values = {name: _value(value) for name, value in one.values.items()}
    spellings = [Spelling[name] for name in one.spellings]
    filled = fill(one.url, values, spellings=spellings, only=one.only)
    hold(fill(one.url, values, spellings=spellings, only=()) == one.url, "only those wanted")
    if not spellings:
        expected = "".join(_expected(one.url, values, one.only))
        hold(filled == expected, f"filled {filled!r}; expected {expected!r}")
    yield ("macros", *sorted(one.spellings), str(filled == one.url))


def _value(value: object) -> Value:
    if isinstance(value, dict):
        return Absence(value["absence"])
    return value  # type: ignore[return-value]


def _expected(url: str, values: dict[str, Value], only: Sequence[str] | None) -> Iterator[str]:
    """The URL piece by piece, without a regular expression."""
    while True:
        before, bracket, rest = url.partition("[")
        yield before
        if not bracket:
            return
        name, end, after = rest.partition("]")
        text = _text(name, values) if end and (only is None or name in only) else None
        if text is None:
            yield "["
            url = rest
        else:
            yield text
            url = after


_NO_ABSENCE = {"TIMESTAMP", "CACHEBUSTING", "ERRORCODE", "REASON", "LIMITADTRACKING"}


def _text(name: str, values: dict[str, Value]) -> str | None:
    if name not in MACROS:
        return None
    value = values.get(name)
    if value is None and MACROS[name].source is Source.PLAYER:
        return None
    if value is None or isinstance(value, Absence):
        absence = Absence.UNKNOWN if value is None else value
        return None if name in _NO_ABSENCE else absence.value
    items = value if isinstance(value, list) else [value]
    return ",".join(
        quote(item if isinstance(item, str) else str(item), safe="", errors="replace")
        for item in items
    )
