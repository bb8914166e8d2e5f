"""State in PostgreSQL: durable, and shared by servers.

- `backend` is the async face.
- `batches` gathers the calls of a tick of the event loop; `books` does a batch in one transaction.
- `campaigns` and `inspection` are what is asked one by one.
- `connections` is the pool; `migrations` brings the tables to the newest version.
- `versions/` is the SQL: tables, and the functions that a batch calls.
"""

from xsp_server.state.postgres.backend import DatabaseBackend

__all__ = ["DatabaseBackend"]
