"""State in a SQLite file: durable and embedded.

- `backend` is the async face.
- `writer` is the one thread that works on the file, and its group commit.
- `store` is what it does there; `books` and `campaigns` hold the SQL of each, `schema` the tables.
"""

from xsp_server.state.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
