-- Books. Whoever changes one holds the lock of its row, and locks rows in the order of their names;
-- so nobody ever waits in a circle. What hangs below a book is only touched under that lock.

CREATE TABLE book (
  name text COLLATE "C" PRIMARY KEY,
  sequence bigint NOT NULL,
  ledger boolean NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE counter (
  book text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  window_kind text NOT NULL,
  window_ms bigint NOT NULL,
  counted bigint NOT NULL CHECK (counted >= 0),
  held bigint NOT NULL CHECK (held >= 0),
  first_at bigint NOT NULL,
  last_at bigint NOT NULL,
  ends_at bigint NOT NULL,
  kept_until bigint NOT NULL,
  held_until bigint NOT NULL,
  steps text,  -- JSON [[step, count], ...] of a sliding window
  PRIMARY KEY (book, name)
) WITH (fillfactor = 70);

CREATE INDEX counter_over ON counter (kept_until);

CREATE TABLE move (
  book text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  content text NOT NULL,
  outcome text NOT NULL,
  known_until bigint NOT NULL,
  hold text,  -- state of a hold; the rest is for holds, too
  expires_at bigint NOT NULL,
  keep_ms bigint NOT NULL,
  resolved_at bigint NOT NULL,
  resolution text NOT NULL,
  claims text NOT NULL,  -- JSON [[counter, window kind, window ms, add, cooldown_ms, claimed], ...]
  PRIMARY KEY (book, id)
);

CREATE INDEX open_hold ON move (book, expires_at, id) WHERE hold = 'held';

CREATE INDEX overdue_hold ON move (expires_at) WHERE hold = 'held';

CREATE INDEX move_over ON move (known_until);

CREATE TABLE movement (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  book text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  counter text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,
  counted bigint NOT NULL,
  held bigint NOT NULL,
  at bigint NOT NULL
);

CREATE INDEX movement_of_book ON movement (book, number);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only';
END $$;

CREATE TRIGGER movement_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON movement
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE campaign (
  campaign_id text COLLATE "C" PRIMARY KEY,
  key text COLLATE "C" UNIQUE,  -- NULL: none
  body bytea NOT NULL,
  request_id text NOT NULL,
  revision bigint NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);

CREATE TABLE campaigns_version (version bigint NOT NULL);

INSERT INTO campaigns_version VALUES (0);


-- Reads books: those rows of each that its moves ask for, as of the snapshot of the caller.
-- For each of `names`: the time by which a hold is due, how many due holds to read at most, and
-- whether to read all open holds. Ids and counters are named beside the book they are of.
CREATE FUNCTION read_books(
  names text[], due_by bigint[], due_most bigint[], all_open boolean[],
  ids_of text[], ids text[], counters_of text[], counters text[]
) RETURNS json LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  RETURN (
    WITH asked AS MATERIALIZED (
      SELECT * FROM unnest(names, due_by, due_most, all_open) AS a (book, by, most, everything)
    ), key AS (
      SELECT a.book, a.id FROM unnest(ids_of, ids) AS a (book, id)
      UNION
      SELECT asked.book, due.id
      FROM asked CROSS JOIN LATERAL (
        SELECT move.id FROM move
        WHERE move.book = asked.book AND hold = 'held' AND expires_at <= asked.by
        ORDER BY expires_at, move.id LIMIT asked.most
      ) AS due
      UNION
      SELECT move.book, move.id FROM asked JOIN move ON move.book = asked.book
      WHERE asked.everything AND hold = 'held'
    ), found AS MATERIALIZED (
      SELECT move.* FROM key JOIN move USING (book, id)
    ), wanted AS (
      SELECT a.book, a.name FROM unnest(counters_of, counters) AS a (book, name)
      UNION
      SELECT found.book, claim ->> 0 FROM found, json_array_elements(claims::json) AS claim
      WHERE hold = 'held'
    )
    SELECT json_build_array(
      (SELECT json_agg(json_build_array(name, sequence, ledger))
       FROM asked JOIN book ON book.name = asked.book),
      (SELECT json_agg(json_build_array(book, id, kind, content, outcome, known_until, hold,
         expires_at, keep_ms, resolved_at, resolution, claims)) FROM found),
      (SELECT json_agg(json_build_array(counter.book, counter.name, window_kind, window_ms,
         counted, held, first_at, last_at, ends_at, kept_until, held_until, steps))
       FROM wanted JOIN counter USING (book, name))
    )
  );
END $$;


-- Locks the books named in `locked` until the end of the transaction, making those that are not
-- there, and reads as `read_books` does. Each statement here has a snapshot of its own, so what is
-- read is what those left who held the locks before.
CREATE FUNCTION lock_books(
  locked text[],
  names text[], due_by bigint[], due_most bigint[], all_open boolean[],
  ids_of text[], ids text[], counters_of text[], counters text[]
) RETURNS json LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- A row that is there is locked by this, and left as it is.
  INSERT INTO book (name, sequence, ledger)
  SELECT a.name, 0, false FROM unnest(locked) AS a (name) ORDER BY a.name COLLATE "C"
  ON CONFLICT (name) DO UPDATE SET sequence = book.sequence WHERE false;

  RETURN read_books(
    names, due_by, due_most, all_open, ids_of, ids, counters_of, counters
  );
END $$;


-- Writes what moves changed in books that are locked: rows of `book`, `counter`, `move` and
-- `movement`, column by column. Of `idle` books that hold nothing the row is taken away again.
CREATE FUNCTION write_books(
  book_name text[], book_sequence bigint[], book_ledger boolean[],
  counter_book text[], counter_name text[], counter_window_kind text[], counter_window_ms bigint[],
  counter_counted bigint[], counter_held bigint[], counter_first_at bigint[],
  counter_last_at bigint[], counter_ends_at bigint[], counter_kept_until bigint[],
  counter_held_until bigint[], counter_steps text[],
  dropped_book text[], dropped_name text[],
  move_book text[], move_id text[], move_kind text[], move_content text[], move_outcome text[],
  move_known_until bigint[], move_hold text[], move_expires_at bigint[], move_keep_ms bigint[],
  move_resolved_at bigint[], move_resolution text[], move_claims text[],
  movement_book text[], movement_sequence bigint[], movement_counter text[],
  movement_kind text[], movement_id text[], movement_counted bigint[], movement_held bigint[],
  movement_at bigint[],
  idle text[]
) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  UPDATE book SET sequence = new.sequence, ledger = new.ledger
  FROM unnest(book_name, book_sequence, book_ledger) AS new (name, sequence, ledger)
  WHERE book.name = new.name;

  IF cardinality(counter_book) > 0 THEN
    INSERT INTO counter AS old
    SELECT * FROM unnest(
      counter_book, counter_name, counter_window_kind, counter_window_ms, counter_counted,
      counter_held, counter_first_at, counter_last_at, counter_ends_at, counter_kept_until,
      counter_held_until, counter_steps
    )
    ON CONFLICT (book, name) DO UPDATE SET
      window_kind = excluded.window_kind, window_ms = excluded.window_ms,
      counted = excluded.counted, held = excluded.held, first_at = excluded.first_at,
      last_at = excluded.last_at, ends_at = excluded.ends_at, kept_until = excluded.kept_until,
      held_until = excluded.held_until, steps = excluded.steps;
  END IF;

  IF cardinality(dropped_book) > 0 THEN
    DELETE FROM counter USING unnest(dropped_book, dropped_name) AS dropped (book, name)
    WHERE counter.book = dropped.book AND counter.name = dropped.name;
  END IF;

  IF cardinality(move_book) > 0 THEN
    INSERT INTO move AS old
    SELECT * FROM unnest(
      move_book, move_id, move_kind, move_content, move_outcome, move_known_until, move_hold,
      move_expires_at, move_keep_ms, move_resolved_at, move_resolution, move_claims
    )
    ON CONFLICT (book, id) DO UPDATE SET
      kind = excluded.kind, content = excluded.content, outcome = excluded.outcome,
      known_until = excluded.known_until, hold = excluded.hold,
      expires_at = excluded.expires_at, keep_ms = excluded.keep_ms,
      resolved_at = excluded.resolved_at, resolution = excluded.resolution,
      claims = excluded.claims;
  END IF;

  IF cardinality(movement_book) > 0 THEN
    INSERT INTO movement (book, sequence, counter, kind, id, counted, held, at)
    SELECT new.book, new.sequence, new.counter, new.kind, new.id, new.counted, new.held, new.at
    FROM unnest(
      movement_book, movement_sequence, movement_counter, movement_kind, movement_id,
      movement_counted, movement_held, movement_at
    ) WITH ORDINALITY AS new (book, sequence, counter, kind, id, counted, held, at, place)
    ORDER BY new.place;
  END IF;

  IF cardinality(idle) > 0 THEN
    DELETE FROM book WHERE name = ANY (idle) AND sequence = 0
      AND NOT EXISTS (SELECT 1 FROM counter WHERE counter.book = book.name)
      AND NOT EXISTS (SELECT 1 FROM move WHERE move.book = book.name);
  END IF;
END $$;


-- Deletes what nobody can see any more since `before`, so many rows at most of each table found
-- first, and then books that are empty. Books that somebody works on are passed by. Returns some
-- books with holds that nobody came to expire.
CREATE FUNCTION forget(before bigint, most bigint, books_most bigint)
RETURNS text[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  candidates text[];
  locked text[];
BEGIN
  candidates := ARRAY(
    (SELECT book FROM move WHERE known_until <= before ORDER BY known_until LIMIT most)
    UNION
    (SELECT book FROM counter WHERE kept_until <= before AND held = 0
     ORDER BY kept_until LIMIT most)
  );
  locked := ARRAY(
    SELECT name FROM book WHERE name = ANY (candidates) ORDER BY name FOR UPDATE SKIP LOCKED
  );
  DELETE FROM move USING (
    SELECT book, id FROM move WHERE known_until <= before ORDER BY known_until LIMIT most
  ) AS over
  WHERE over.book = ANY (locked) AND move.book = over.book AND move.id = over.id;
  DELETE FROM counter USING (
    SELECT book, name FROM counter WHERE kept_until <= before AND held = 0
    ORDER BY kept_until LIMIT most
  ) AS over
  WHERE over.book = ANY (locked) AND counter.book = over.book AND counter.name = over.name;
  DELETE FROM book WHERE name = ANY (locked)
    AND NOT EXISTS (SELECT 1 FROM counter WHERE counter.book = book.name)
    AND NOT EXISTS (SELECT 1 FROM move WHERE move.book = book.name);
  RETURN ARRAY(
    SELECT DISTINCT overdue.book
    FROM (SELECT book FROM move WHERE hold = 'held' AND expires_at <= before
          ORDER BY expires_at LIMIT most) AS overdue
    LIMIT books_most
  );
END $$;
