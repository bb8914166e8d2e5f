"""State in Redis or Valkey, one server or a cluster.

- `backend` is the async face; `books` reads what is stored of a book.
- `apply.lua` moves the counters of a book, `campaigns.lua` stores a campaign document; `scripts`
  loads them.
- `link` is a connection to a server, on which all calls of a tick are one pipeline.
- `cluster` finds the server of a book, and the connection that it takes.
"""

from xsp_server.state.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
