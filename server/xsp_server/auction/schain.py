"""The supply chain: appends the exchange's own node (OpenRTB 2.6 sections 3.2.25 and 3.2.26).

Whoever resells copies the chain as it came, keeps `complete`, and appends one node; whoever doesn't
may not pass the chain on. Source: IAB Tech Lab, "OpenRTB SupplyChain object" 1.0.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.errors import ConfigError, InvalidJson, TooDeep
from xsp_server.openrtb import codec
from xsp_server.openrtb.codec import exact

VERSION: Final = "1.0"
"""Of the standard, in chains that begin here."""


@dataclass(frozen=True, slots=True)
class ChainNode:
    """The exchange's node, and what to do where no chain came.

    Attributes:
        asi: domain of the exchange, bare, as sellers' ads.txt files have it.
        sid: the seller's account, as in the exchange's sellers.json; at most 64 characters. Absent:
            the id of the request's publisher.
        name: company that is paid under `sid`; absent where sellers.json tells it.
        domain: its domain, bare; absent where sellers.json tells it.
        create: whether a chain begins here where none came. If not, such a request stays as it is.
        complete: whether a chain that begins here is complete: the sellers own what they sell.

    Raises:
        ConfigError: a value doesn't fit; the message has a line for each.
    """

    asi: str
    sid: str | None = None
    name: str | None = None
    domain: str | None = None
    create: bool = True
    complete: bool = False

    def __post_init__(self) -> None:
        """Checks domains and lengths."""
        if wrong := list(_wrong(self)):
            raise ConfigError("\n".join(wrong))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str = "schain") -> Self:
        """A node from a TOML section; what is absent has its default.

        Args:
            values: by the names of the attributes; `asi` is required.
            where: how errors name the section.

        Raises:
            ConfigError: an unknown name or a value that doesn't fit; the message has a line for
                each: which, what was given, what would be right.
        """
        wrong = [f"{where}.{name}: no such setting" for name in values if name not in _TYPES]
        for name, (kind, expected) in _TYPES.items():
            if name in values and not isinstance(values[name], kind):
                wrong.append(f"{where}.{name}: got {values[name]!r}; expected {expected}")
        if "asi" not in values:
            wrong.append(f"{where}.asi: missing; expected the exchange's domain")
        if wrong:
            raise ConfigError("\n".join(wrong))
        try:
            return cls(**values)
        except ConfigError as error:
            lines = str(error).split("\n")
            raise ConfigError("\n".join(f"{where}.{line}" for line in lines)) from None


def append_node(request: BidRequest, node: ChainNode) -> BidRequest:
    """The request with the exchange's node at the end of `source.schain`.

    The chain that came is looked for in `source.schain`, then in its places before 2.6,
    `source.ext.schain` and `ext.schain`; the first that has nodes counts, and none is left in the
    old places. The nodes that came stay as they are. Where no seller is known, as `sid` is not set
    and the request has no publisher id, the chain can't be continued and is taken out.

    Returns:
        A copy; or the request itself, where no chain came and none is to begin here.
    """
    ours = _own_node(request, node)
    chain = next(_chains(request), None)
    if chain is None:
        if not node.create or ours is None:
            return request
        chain = BidRequest.SupplyChain(ver=VERSION, complete=node.complete)
    copy = BidRequest()
    copy.CopyFrom(request)
    _clear(copy)
    if ours is not None:
        copy.source.schain.CopyFrom(chain)
        copy.source.schain.nodes.append(ours)
    return copy


def _own_node(request: BidRequest, node: ChainNode) -> BidRequest.SupplyChainNode | None:
    """The node to append; None: the seller is not known."""
    sid = node.sid or _publisher(request)
    if not sid:
        return None
    return BidRequest.SupplyChainNode(
        asi=node.asi,
        sid=sid,
        rid=request.id if request.HasField("id") else None,
        name=node.name,
        domain=node.domain,
        hp=True,
    )


def _publisher(request: BidRequest) -> str:
    channel = request.WhichOneof("distributionchannel_oneof")
    sold: Any = getattr(request, channel) if channel else None
    return sold.publisher.id if sold is not None else ""


def _chains(request: BidRequest) -> Iterator[BidRequest.SupplyChain]:
    """The chains that came and have nodes, that of the newest place first.

    One that can't be read was there, but tells nothing: it counts as incomplete and empty.
    """
    source = request.source
    for chain in (source.schain, source.ext.schain):
        if chain.nodes:
            yield chain
    for raw_json in (source.ext.raw_json, request.ext.raw_json):
        member = _members(raw_json).get(_NAME)
        if member is None:
            continue
        try:
            chain = codec.parse(BidRequest.SupplyChain, exact.dump(member), coerce=True).message
        except (InvalidJson, TooDeep, orjson.JSONEncodeError):
            yield BidRequest.SupplyChain(ver=VERSION, complete=False)
        else:
            if chain.nodes:
                yield chain


def _clear(request: BidRequest) -> None:
    """Takes the chain out of all of its places."""
    if request.HasField("source"):
        source = request.source
        source.ClearField("schain")
        if source.HasField("ext"):
            source.ext.ClearField("schain")
            _clear_raw(source.ext)
    if request.HasField("ext"):
        _clear_raw(request.ext)


def _clear_raw(ext: BidRequest.Ext | BidRequest.Source.Ext) -> None:
    members = _members(ext.raw_json)
    if members.pop(_NAME, None) is None:
        return
    if not members:
        ext.ClearField("raw_json")
        return
    try:
        ext.raw_json = exact.dump(members).decode()
    except orjson.JSONEncodeError:  # nested too deep to be written again: it stays
        return


_NAME: Final = "schain"


def _members(raw_json: str) -> dict[str, Any]:
    """The members of raw JSON, if it is an object in which a chain may be; else none."""
    if _NAME not in raw_json:
        return {}
    try:
        orjson.loads(raw_json)
        members = exact.load(raw_json.encode())
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


_TYPES: Final[dict[str, tuple[type, str]]] = {
    "asi": (str, "text"),
    "sid": (str, "text"),
    "name": (str, "text"),
    "domain": (str, "text"),
    "create": (bool, "true or false"),
    "complete": (bool, "true or false"),
}
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}"
)
_LONGEST_SID: Final = 64


def _wrong(node: ChainNode) -> Iterator[str]:
    for name in ("asi", "domain"):
        value = getattr(node, name)
        if value is not None and not _DOMAIN.fullmatch(value):
            yield f"{name}: got {value!r}; expected a bare domain in lower case, as example.com"
    if node.sid is not None and not 1 <= len(node.sid) <= _LONGEST_SID:
        yield f"sid: got {len(node.sid)} characters; expected 1 to {_LONGEST_SID}"
    if node.name == "":
        yield "name: got nothing; expected a company, or no setting"
