"""The Redis backend as the event loop sees it."""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import orjson
from redis import asyncio as aioredis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from xsp_server.errors import ConfigError
from xsp_server.state.backend import (
    Balance,
    Book,
    CampaignDocument,
    Counter,
    HoldState,
    Kind,
    Known,
    Move,
    Movement,
    Outcome,
    PutOutcome,
    PutStatus,
    StateBackend,
)
from xsp_server.state.redis.books import counter_of, key_of, known_of
from xsp_server.state.redis.cluster import LANES, Address, Cluster, OneServer, Store
from xsp_server.state.redis.eviction import Eviction
from xsp_server.state.redis.link import Link, Request, Settings
from xsp_server.state.redis.scripts import APPLY, CAMPAIGNS, FIND, Command
from xsp_server.state.wire import move_to_wire, outcome_from_wire

SCHEMES: Final = ("redis", "rediss", "redis+cluster")

_DOCUMENT: Final = ("key", "body", "request_id", "revision", "created_at", "updated_at")


class RedisBackend(StateBackend):
    """State in Redis or Valkey: `redis://`, `rediss://` (TLS) or `redis+cluster://`.

    Every book is one hash slot, and every call on it one script. Calls of one tick travel as one
    pipeline to each server; where all slots are on one server many calls share one script. A call
    that fails for a lost connection is sent again, once, if each of its moves has an id or is a
    CHECK.

    The server must not evict keys (`maxmemory-policy noeviction`), or it forgets what was counted:
    `ping` refuses one that would.
    """

    in_process = False
    keeps_ledger = False

    def __init__(
        self, redis_url: str, *, namespace: str = "xsp", timeout: float = 1.0, replicas: int = 0
    ) -> None:
        """Keeps the settings; the first call connects.

        Args:
            redis_url: `scheme://user:password@host:port/database`, or for a cluster any of its
                servers: `redis+cluster://host:port,host:port`. `ssl_...` options of redis-py as
                the query, and `replicas=1`, which goes before the argument.
            namespace: what all keys begin with, so that others may share the server.
            timeout: seconds for connecting, and for one pipeline; a call fails after about twice
                this at most.
            replicas: how many replicas must have a change before it is acknowledged (WAIT).

        Raises:
            ConfigError: the URL or the namespace is none.
        """
        if not re.fullmatch(r"[\w.:/-]+", namespace, re.ASCII):
            raise ConfigError(
                f"namespace {namespace!r}: expected letters, digits and any of _ . : / -"
            )
        self._scheme = redis_url.partition("://")[0]
        self._namespace = namespace
        self._campaigns = f"{namespace}:{{campaigns}}/"
        apart = (key_of(namespace, "a"), key_of(namespace, "b"))
        self._eviction = Eviction()
        self._store = _store(redis_url, timeout, replicas, apart)

    @property
    def scheme(self) -> str:
        """Of the URL: redis, rediss or redis+cluster."""
        return self._scheme

    @property
    def durable(self) -> bool:
        """Whether the server syncs each change to disk before it acknowledges it.

        That is `appendfsync always`, as it was told at the last connection; False before the first
        one, where the server won't tell, and for clusters, whose replicas may lack changes when
        they take over.
        """
        return self._store.on_disk

    async def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """See StateBackend."""
        return await self._apply(book.name, moves, now_ms)

    async def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """See StateBackend."""
        key = key_of(self._namespace, book)
        command = FIND.by_digest([f"{key}:h", *(f"{key}:m:{id_}" for id_ in ids)], *ids)
        found = await self._store.run(key, Request(command, FIND, repeatable=True))
        return [known_of(id_, fields, now_ms) for id_, fields in zip(ids, found, strict=True)]

    async def open_holds(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Known]:
        """See StateBackend."""
        key = key_of(self._namespace, book)
        [due] = await self._read(key, ("ZRANGEBYSCORE", f"{key}:d", f"({now_ms}", "+inf"))
        ids = [id_.decode() for id_ in sorted(due) if id_ > after.encode()]
        held: list[Known] = []
        for start in range(0, len(ids), max(limit, 1)):
            if len(held) >= limit:
                break
            known = await self.find(book, ids[start : start + limit], now_ms)
            held += [each for each in known if each and each.hold is HoldState.HELD]
        return held[:limit]

    async def counters(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Counter]:
        """See StateBackend."""
        key = key_of(self._namespace, book)
        _, [stored] = await asyncio.gather(
            self._apply(book, (), now_ms), self._read(key, ("HGETALL", f"{key}:c"))
        )
        packed = dict(zip(stored[::2], stored[1::2], strict=True))
        names = sorted(name for name in packed if name > after.encode())  # its own line is ""
        found = (counter_of(name.decode(), packed[name], now_ms) for name in names)
        return list(islice((each for each in found if each is not None), limit))

    async def put_campaign(
        self,
        document: CampaignDocument,
        now_ms: int,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._change_campaign(
            "put",
            document.campaign_id,
            expected_revision,
            expected_version,
            document.key,
            document.body,
            document.request_id,
            now_ms,
        )

    async def get_campaigns(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend."""
        commands: list[Command] = [
            ("HMGET", f"{self._campaigns}:doc", *(f"{id_}\0{name}" for name in _DOCUMENT))
            for id_ in campaign_ids
        ]
        found = await self._read(self._campaigns, *commands)
        return [
            None if fields[3] is None else _document(campaign_id, fields)
            for campaign_id, fields in zip(campaign_ids, found, strict=True)
        ]

    async def list_campaigns(self, *, after: str = "", limit: int = 100) -> list[CampaignDocument]:
        """See StateBackend."""
        start = f"({after}" if after else "-"
        page: Command = ("ZRANGEBYLEX", f"{self._campaigns}:id", start, "+", "LIMIT", 0, limit)
        [ids] = await self._read(self._campaigns, page)
        found = await self.get_campaigns([id_.decode() for id_ in ids])
        return [document for document in found if document is not None]

    async def delete_campaign(
        self,
        campaign_id: str,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._change_campaign(
            "delete", campaign_id, expected_revision, expected_version
        )

    async def campaigns_version(self) -> int:
        """See StateBackend."""
        [version] = await self._read(self._campaigns, ("GET", f"{self._campaigns}:version"))
        return int(version or 0)

    async def movements(self, book: str, *, after: int = 0, limit: int = 1000) -> list[Movement]:  # noqa: ARG002
        """Nothing: no ledger is kept."""
        return []

    async def audit(self, book: str | None = None) -> list[Balance]:  # noqa: ARG002
        """Nothing: no ledger is kept."""
        return []

    async def ping(self) -> None:
        """Returns if the server answers; of a cluster that of the campaigns.

        Raises:
            ConfigError: a server may evict keys.
        """
        await self._read(self._campaigns, ("EXISTS", f"{self._campaigns}:version"))
        await asyncio.gather(*map(self._eviction.check, self._store.servers()))

    async def close(self) -> None:
        """Ends what is under way, and the connections."""
        await self._store.close()

    async def _apply(self, book: str, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        key = key_of(self._namespace, book)
        ids = list({id_: None for move in moves for id_ in (move.id, move.of) if id_})
        keys = [f"{key}:c", f"{key}:h", f"{key}:d", *(f"{key}:m:{id_}" for id_ in ids)]
        call = orjson.dumps([now_ms, [move_to_wire(move) for move in moves], ids])
        repeatable = all(move.id or move.kind is Kind.CHECK for move in moves)
        command = APPLY.by_digest(keys, b"[" + call + b"]")
        told = await self._store.run(key, Request(command, APPLY, repeatable, call=call))
        return [outcome_from_wire(outcome, replayed=bool(again)) for again, outcome in told]

    async def _read(self, key: str, *commands: Command) -> list[Any]:
        """Replies of commands that change nothing."""
        requests = [Request(command, repeatable=True) for command in commands]
        return await asyncio.gather(*[self._store.run(key, request) for request in requests])

    async def _change_campaign(
        self,
        what: str,
        campaign_id: str,
        revision: int | None,
        version: int | None,
        *arguments: bytes | str | int,
    ) -> PutOutcome:
        keys = [f"{self._campaigns}:{part}" for part in ("id", "key", "version", "doc")]
        expected = ["" if each is None else each for each in (revision, version)]
        command = CAMPAIGNS.by_digest(keys, what, campaign_id, *expected, *arguments)
        status, *document = await self._store.run(self._campaigns, Request(command, CAMPAIGNS))
        found = _document(document[0].decode(), document[1:]) if document else None
        return PutOutcome(PutStatus(status.decode()), found)


def _document(campaign_id: str, fields: Sequence[bytes]) -> CampaignDocument:
    key, body, request_id, revision, created_at, updated_at = fields
    return CampaignDocument(
        campaign_id,
        key.decode(),
        body,
        request_id.decode(),
        int(revision),
        int(created_at),
        int(updated_at),
    )


def _store(redis_url: str, timeout: float, replicas: int, apart: tuple[str, str]) -> Store:
    """The servers of a URL; `apart` are two keys of different slots. Raises ConfigError."""
    scheme, _, rest = redis_url.partition("://")
    if scheme not in SCHEMES:
        raise ConfigError(f"redis_url: got scheme {scheme!r:.40}; expected {', '.join(SCHEMES)}")
    rest, mark, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    login, at, hosts = authority.rpartition("@")
    try:
        if scheme != "redis+cluster":
            options = _options(redis_url)
            replicas = _replicas(options, replicas)
            make_link = partial(_link, options, timeout, replicas, apart=apart)
            return OneServer([make_link(_address(options)) for _ in range(LANES)])
        after = f"{slash}{path}{mark}{query}"
        servers = [_options(f"redis://{login}{at}{host}{after}") for host in hosts.split(",")]
        replicas = _replicas(servers[0], replicas)
        make_link = partial(_link, servers[0], timeout, replicas)
        return Cluster([_address(server) for server in servers], make_link)
    except (ValueError, TypeError) as error:
        # A part of the password may be in the text of a ValueError, or take the place of the host.
        secret = "@" in rest and isinstance(error, ValueError)
        shown = "can't be read" if secret else f"{hosts}: {error}"
        raise ConfigError(f"redis_url {scheme}://{shown}; expected scheme://host:port") from None


def _options(url: str) -> dict[str, Any]:
    return dict(parse_url(url))


def _replicas(options: dict[str, Any], default: int) -> int:
    """How many replicas must have a change, as the URL says. Raises ValueError."""
    told = str(options.pop("replicas", default))
    if not re.fullmatch("[0-9]{1,3}", told, re.ASCII):
        raise ValueError(f"got replicas={told:.20}; expected 0 or more")
    return int(told)


def _address(options: dict[str, Any]) -> Address:
    return options.get("host", "localhost"), options.get("port", 6379)


def _link(
    options: dict[str, Any],
    timeout: float,
    replicas: int,
    address: Address,
    apart: tuple[str, str] | None = None,
) -> Link:
    """The link to one server. Raises TypeError for options that redis-py does not have."""
    host, port = address
    ours = {
        "host": host,
        "port": port,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),  # what may be repeated the link knows
        "socket_timeout": None,  # the link keeps the time, of a whole pipeline
        "socket_connect_timeout": timeout,
        "decode_responses": False,
    }
    merged = {**options, **ours}
    make = merged.pop("connection_class", aioredis.Connection)
    connect = partial(make, **merged)
    connect()  # to hear now of wrong options
    return Link(f"{host}:{port}", Settings(connect, timeout, replicas, apart))
