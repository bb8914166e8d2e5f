"""Whether servers may forget what was counted, to make room for more.

A server with a limit on its memory and another `maxmemory-policy` than `noeviction` drops keys when
it is full: a user's count begins anew, and a cap is passed. It is refused. Without a limit nothing
is dropped, yet whoever sets one later would make it so: that is logged, once for each server.

Asked with INFO, as CONFIG is forbidden on many servers that others run.
"""

from typing import Final

import structlog
from redis.exceptions import ResponseError

from xsp_server.errors import ConfigError
from xsp_server.state.backend import StoreAway
from xsp_server.state.redis.link import Link, Request

log = structlog.get_logger(__name__)

_MEMORY: Final = ("INFO", "memory")
_KEEPS_ALL: Final = "noeviction"


class Eviction:
    """Asks servers for their policy."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    async def check(self, link: Link) -> None:
        """Asks one server. One that is away is asked another time.

        Raises:
            ConfigError: it may evict keys.
        """
        try:
            reply = await link.run(Request(_MEMORY, repeatable=True))
        except StoreAway:
            return
        except ResponseError as refusal:
            self._warn(link.name, "can't tell whether the state store evicts keys", str(refusal))
            return
        lines = (line.partition(":") for line in reply.decode().splitlines())
        told = {name: value for name, _, value in lines}
        policy = told.get("maxmemory_policy", _KEEPS_ALL)
        limit = int(told.get("maxmemory", 0))
        if policy == _KEEPS_ALL:
            return
        if limit:
            raise ConfigError(
                f"{link.name}: evicts keys when it has {limit} bytes, and forgets what was counted "
                f"(maxmemory-policy {policy}); expected maxmemory-policy {_KEEPS_ALL}"
            )
        self._warn(
            link.name,
            "the state store would evict keys if it had a limit on its memory",
            f"maxmemory-policy {policy}; expected {_KEEPS_ALL}",
        )

    def _warn(self, server: str, event: str, reason: str) -> None:
        if server not in self._warned:
            self._warned.add(server)
            log.warning(event, server=server, reason=reason)
