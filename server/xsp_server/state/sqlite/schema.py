"""Tables of the SQLite store, version by version."""

import sqlite3
from typing import Final

from xsp_server.errors import ConfigError

APPLICATION_ID: Final = 0x78737053
"""What marks the file as ours: "xspS"."""

_VERSION_1: Final = """
CREATE TABLE book (
  name TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL,
  ledger INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
  book TEXT NOT NULL,
  name TEXT NOT NULL,
  window_kind TEXT NOT NULL,
  window_ms INTEGER NOT NULL,
  counted INTEGER NOT NULL CHECK (counted >= 0),
  held INTEGER NOT NULL CHECK (held >= 0),
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,
  kept_until INTEGER NOT NULL,
  held_until INTEGER NOT NULL,
  steps TEXT,  -- JSON [[step, count], ...] of a sliding window
  PRIMARY KEY (book, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE move (
  book TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  content TEXT NOT NULL,
  outcome TEXT NOT NULL,
  known_until INTEGER NOT NULL,
  hold TEXT,  -- state of a hold; the rest is for holds, too
  expires_at INTEGER NOT NULL,
  keep_ms INTEGER NOT NULL,
  resolved_at INTEGER NOT NULL,
  resolution TEXT NOT NULL,
  claims TEXT NOT NULL,  -- JSON [[counter, window kind, window ms, add, cooldown_ms, claimed], ...]
  PRIMARY KEY (book, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX open_hold ON move (book, expires_at, id) WHERE hold = 'held';

CREATE INDEX overdue_hold ON move (expires_at) WHERE hold = 'held';

CREATE TABLE movement (
  number INTEGER PRIMARY KEY,
  book TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  counter TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  counted INTEGER NOT NULL,
  held INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX movement_of_book ON movement (book, number);

CREATE TRIGGER movement_is_never_changed BEFORE UPDATE ON movement
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER movement_is_never_deleted BEFORE DELETE ON movement
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE campaign (
  campaign_id TEXT PRIMARY KEY,
  key TEXT,  -- NULL: none
  body BLOB NOT NULL,
  request_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX campaign_of_key ON campaign (key);

CREATE TABLE campaigns_version (version INTEGER NOT NULL) STRICT;

INSERT INTO campaigns_version VALUES (0);
"""

VERSIONS: Final = (_VERSION_1,)
"""What makes each version from the one before; only ever added to."""


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Brings the file to the newest version, in one transaction.

    Raises:
        ConfigError: the file is another program's, or of a newer server.
    """
    connection.execute("BEGIN IMMEDIATE")
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and tables:
        raise ConfigError(f"{path}: is another program's database; expected one of ours, or none")
    if version > len(VERSIONS):
        newest = len(VERSIONS)
        raise ConfigError(
            f"{path}: has tables of version {version}; this server knows up to {newest}"
        )
    for statements in VERSIONS[version:]:
        for statement in _split(statements):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(VERSIONS)}")
    connection.execute("COMMIT")


def _split(statements: str) -> list[str]:
    """Statements one by one: `executescript` would end the transaction."""
    found: list[str] = []
    text = ""
    for line in statements.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
