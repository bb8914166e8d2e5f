"""The audit of a ledger, in the SQL that SQLite and PostgreSQL share.

Both databases sort and sum on disk where the ledger is greater than their memory, and give the rows
away one after the other.
"""

from typing import Final

_AUDIT: Final = """
WITH line AS (
  SELECT book, counter, CAST(sum(counted) AS bigint) AS counted, CAST(sum(held) AS bigint) AS held
  FROM movement WHERE CAST($1 AS text) IS NULL OR book = $1 GROUP BY book, counter
), stored AS (
  SELECT counter.book, counter.name AS counter, counted, held
  FROM counter JOIN book ON book.name = counter.book AND book.ledger
  WHERE window_kind IN ('until', 'forever') AND (CAST($1 AS text) IS NULL OR book = $1)
), claim AS (
  SELECT book, value ->> 0 AS counter, CAST(sum(CAST(value ->> 5 AS bigint)) AS bigint) AS claimed
  FROM move, {each_claim}
  WHERE hold = 'held' AND (CAST($1 AS text) IS NULL OR book = $1)
    AND CAST(value ->> 5 AS bigint) > 0 AND value ->> 1 IN ('until', 'forever')
    AND EXISTS (SELECT 1 FROM book WHERE book.name = move.book AND book.ledger)
  GROUP BY 1, 2
), known AS (
  SELECT book, counter FROM line UNION SELECT book, counter FROM stored
  UNION SELECT book, counter FROM claim
)
SELECT book, counter, coalesce(line.counted, 0), coalesce(line.held, 0),
  stored.counted, stored.held, coalesce(claimed, 0)
FROM known
LEFT JOIN line USING (book, counter)
LEFT JOIN stored USING (book, counter)
LEFT JOIN claim USING (book, counter)
ORDER BY book, counter
"""


def audit_sql(each_claim: str) -> str:
    """The query of `Balance`s; its parameter is a book, or NULL for all.

    Args:
        each_claim: what makes a row, with its column `value`, of each element of `claims`.
    """
    return _AUDIT.format(each_claim=each_claim)


CAMPAIGNS: Final = (
    "SELECT campaign_id, key, body, request_id, revision, created_at, updated_at"
    " FROM campaign ORDER BY campaign_id"
)
"""All campaign documents."""

DUE_HOLDS: Final = """
SELECT move.book, id, expires_at, sequence
FROM move JOIN book ON book.name = move.book AND book.ledger
WHERE hold = 'held' AND expires_at <= $1 ORDER BY expires_at, move.book, id
"""
"""Holds of books with a ledger that are held though they are due, and their book's sequence."""

EXPIRED_AT: Final = (
    "SELECT count(DISTINCT id) FROM movement WHERE book = $1 AND kind = 'expire' AND at = $2"
)
"""How many holds of a book a call expired."""

GREW_AFTER: Final = (
    "SELECT EXISTS (SELECT 1 FROM movement"
    " WHERE book = $1 AND counter = $2 AND at > $3 AND counted + held > 0)"
)
"""Whether something was spent or held of a counter after a time."""

MOVEMENTS: Final = "SELECT count(*) FROM movement"
"""How many lines the ledger has."""
