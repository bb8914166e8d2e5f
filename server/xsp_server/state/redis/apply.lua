-- Moves of counters in books, as the text of backend.py rules. It does a list of calls, each of
-- one book and each as if it came alone: to define all that stands below costs as much as a call.
--
-- KEYS     of each call its book's :c, :h, :d, then what is known of each id that its moves name,
--          each once
-- ARGV[1]  the calls, as a JSON list of [now_ms, moves as wire.py writes them, ids in the order of
--          their keys]
-- Returns a JSON list with one for each call: a list with [1 where it is replayed, else 0, outcome]
-- for each move, or the text of an error, which is that of this call alone.
--
-- Keys of a book; its hash tag keeps them in one slot. Each that is touched is told in KEYS: a
-- server that a slot is leaving can then refuse the call before anything is done.
--   :c      hash: counters by name, as `written` packs them; "" has sequence, next_due, forget_at
--           and collect_at as doubles
--   :h      hash: what each open hold claims, by its id; a hold that is not there is not HELD
--   :d      sorted set: ids of open holds by expires_at
--   :m:<id> hash: what is known of one move; each is forgotten by itself, the others together
--
-- Before this text stand, from Python: NEVER, SLACK_MS, DUE_AT_ONCE, SLIDING_STEPS, COLLECT_MS.

local floor, max, min = math.floor, math.max, math.min
local format, sub = string.format, string.sub
local call, concat, pack, unpacked = redis.call, table.concat, struct.pack, struct.unpack

local CHUNK = 2000 -- arguments of one command: Lua's stack ends at about 8000

-- The call: its time, the keys of its book and, by its id, of each move.

local now, now_text = 0, '0'
local COUNTERS, HOLDS, DUE, KEY_OF = '', '', '', {}

-- Amounts: two halves of nine digits, as a number of Lua is exact to 2^53 only. The lower half is
-- never below 0; a negative amount has a negative upper half. They are never changed in place.

local BASE = 1000000000
local ZERO = {0, 0}

local function amount(text)
  if #text < 10 then
    return {0, tonumber(text)}
  end
  return {tonumber(sub(text, 1, -10)), tonumber(sub(text, -9))}
end

local function digits(a)
  if a[1] == 0 then
    return format('%d', a[2])
  end
  return format('%d%09d', a[1], a[2])
end

local function plus(a, b)
  local high, low = a[1] + b[1], a[2] + b[2]
  if low >= BASE then
    return {high + 1, low - BASE}
  end
  return {high, low}
end

local function minus(a, b)
  local high, low = a[1] - b[1], a[2] - b[2]
  if low < 0 then
    return {high - 1, low + BASE}
  end
  return {high, low}
end

local function above(a, b)
  return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2])
end

local function nothing(a)
  return a[1] == 0 and a[2] == 0
end

local function too_great(a)
  return a[1] >= BASE
end

-- Counters

local function fresh(kind, ms)
  return {
    kind = kind, ms = ms, counted = ZERO, held = ZERO, first_at = 0, last_at = 0, ends_at = 0,
    kept_until = 0, held_until = 0, steps = {},
  }
end

-- A counter is stored as doubles: place of its kind in KIND_NAMES, ms, both halves of counted and
-- of held, five times, then number and both halves of each step of a sliding window.
local PACKED, PACKED_STEP, STEPS_FROM = '<ddddddddddd', '<ddd', 89
local KIND_NAMES = {'first', 'until', 'sliding', 'refresh', 'forever'}
local KIND_NUMBERS = {first = 1, ['until'] = 2, sliding = 3, refresh = 4, forever = 5}

local function read(text)
  local kind, ms, counted, counted_low, held, held_low, first_at, last_at, ends_at, kept_until,
    held_until = unpacked(PACKED, text)
  local steps = {}
  for from = STEPS_FROM, #text, 24 do
    local number, high, low = unpacked(PACKED_STEP, text, from)
    steps[#steps + 1] = {number, {high, low}}
  end
  return {
    kind = KIND_NAMES[kind], ms = ms, counted = {counted, counted_low}, held = {held, held_low},
    first_at = first_at, last_at = last_at, ends_at = ends_at, kept_until = kept_until,
    held_until = held_until, steps = steps,
  }
end

local function written(c)
  local text = pack(PACKED, KIND_NUMBERS[c.kind], c.ms, c.counted[1], c.counted[2], c.held[1],
    c.held[2], c.first_at, c.last_at, c.ends_at, c.kept_until, c.held_until)
  if #c.steps == 0 then
    return text
  end
  local steps = {text}
  for i, step in ipairs(c.steps) do
    steps[i + 1] = pack(PACKED_STEP, step[1], step[2][1], step[2][2])
  end
  return concat(steps)
end

local function gone(c)
  return c.kept_until <= now and nothing(c.held)
end

local function step_ms(c)
  return floor((c.ms + SLIDING_STEPS - 1) / SLIDING_STEPS)
end

-- Steps of a sliding window that still count, the oldest first, and their sum.
local function live_steps(c)
  local oldest = floor((now - c.ms) / step_ms(c))
  local live, total = {}, ZERO
  for _, step in ipairs(c.steps) do
    if step[1] >= oldest then
      live[#live + 1] = step
      total = plus(total, step[2])
    end
  end
  return live, total
end

local function current(c)
  if now < c.ends_at then
    if c.kind == 'sliding' then
      local _, total = live_steps(c)
      return total
    end
    return c.counted
  end
  if c.kind == 'until' and not nothing(c.held) then
    return c.counted
  end
  return ZERO
end

local function count_step(c, add)
  local length = step_ms(c)
  local number = floor(now / length)
  local live, total = live_steps(c)
  local place = #live
  while place > 0 and live[place][1] > number do
    place = place - 1
  end
  if place > 0 and live[place][1] == number then
    live[place] = {number, plus(live[place][2], add)}
  else
    table.insert(live, place + 1, {number, add})
  end
  c.steps = live
  c.counted = plus(total, add)
  c.ends_at = max(c.ends_at, (number + 1) * length + c.ms)
end

local function count(c, counted, add, cooldown_ms)
  if c.kind == 'sliding' then
    count_step(c, add)
  else
    c.counted = plus(counted, add)
    if nothing(counted) then
      c.first_at = now
      if c.kind == 'forever' then
        c.ends_at = NEVER
      elseif c.kind == 'until' then
        c.ends_at = c.ms
      else
        c.ends_at = now + c.ms
      end
    elseif c.kind == 'refresh' then
      c.ends_at = max(c.ends_at, now + c.ms)
    end
  end
  c.last_at = max(c.last_at, now)
  c.kept_until = max(c.kept_until, c.ends_at, now + cooldown_ms)
end

local function unhold(c, add)
  c.held = minus(c.held, add)
  if nothing(c.held) then
    c.held_until = 0
  end
end

-- Judging: what refuses, as the sum of 1 (limit), 2 (soft), 4 (cooldown) and 8 (overflow).

local function refusal(c, counted, e)
  if nothing(e.add) then
    return 0
  end
  local total = plus(plus(counted, c.held), e.add)
  local why = too_great(total) and 8 or 0
  if e.forced then
    return why
  end
  if e.limit and above(total, e.limit) then
    why = why + 1
  end
  if e.soft and above(total, e.soft) then
    why = why + 2
  end
  if e.cooldown > 0
    and (not nothing(c.held) or (c.last_at > 0 and now < c.last_at + e.cooldown)) then
    why = why + 4
  end
  return why
end

-- When the current count is down to `most` by itself. 0: it is.
local function down_to(c, most)
  if most[1] < 0 then
    return NEVER
  end
  if not above(current(c), most) then
    return 0
  end
  if c.kind ~= 'sliding' then
    return c.ends_at
  end
  local live, total = live_steps(c)
  local place = 0
  while above(total, most) do
    place = place + 1
    total = minus(total, live[place][2])
  end
  return (live[place][1] + 1) * step_ms(c) + c.ms
end

local function frees_at(c, e, why)
  if why >= 8 then
    return NEVER
  end
  local moment = 0
  if why % 2 == 1 then
    local room = minus(e.limit, e.add)
    moment = down_to(c, minus(room, c.held))
    if not nothing(c.held) then
      moment = min(moment, max(c.held_until, down_to(c, room)))
    end
  end
  if why >= 4 then
    local rested_at = c.last_at > 0 and c.last_at + e.cooldown or 0
    moment = max(moment, rested_at, c.held_until)
  end
  return moment
end

-- How a counter stands, as JSON.
local function numbers(c, freed_at, why)
  local counted, over = c.counted, ZERO
  local first_at, last_at, ends_at = c.first_at, c.last_at, c.ends_at
  if c.kind == 'sliding' or c.ends_at <= now then
    counted = current(c)
    if gone(c) then
      counted, first_at, last_at, ends_at = ZERO, 0, 0, 0
    elseif nothing(counted) then
      first_at, ends_at = 0, 0
    elseif c.kind == 'sliding' then
      local length = step_ms(c)
      for _, step in ipairs((live_steps(c))) do
        if step[1] * length + c.ms <= now then
          over = plus(over, step[2])
        end
      end
    end
  end
  return format('["%s","%s","%s",%d,%d,%d,%d,%d]', digits(counted), digits(c.held),
    digits(over), first_at, last_at, ends_at, freed_at or 0, why or 0)
end

-- The book: counters are read once and written at the end.

local seen, dirty, dropped = {}, {}, {}
local sequence, next_due, forget_at, collect_at = 0, 0, 0, 0
local changed, holds_added = false, false
local needed_until = 0

-- A call begins, whose keys are those from `first` on.
local function begin(now_ms, ids, first)
  now, now_text = now_ms, format('%d', now_ms)
  COUNTERS, HOLDS, DUE, KEY_OF = KEYS[first], KEYS[first + 1], KEYS[first + 2], {}
  for i, id in ipairs(ids) do
    KEY_OF[id] = KEYS[first + 2 + i]
  end
  seen, dirty, dropped = {}, {}, {}
  sequence, next_due, forget_at, collect_at = 0, 0, 0, 0
  changed, holds_added = false, false
  needed_until = now
end

local function prefetch(moves)
  local names, wanted = {''}, {}
  for _, move in ipairs(moves) do
    for part = 7, 8 do
      for _, entry in ipairs(move[part]) do
        if not wanted[entry[1]] then
          wanted[entry[1]] = true
          names[#names + 1] = entry[1]
        end
      end
    end
  end
  for from = 1, #names, CHUNK do
    local to = min(from + CHUNK - 1, #names)
    local texts = call('HMGET', COUNTERS, unpack(names, from, to))
    for i, text in ipairs(texts) do
      seen[names[from + i - 1]] = text
    end
  end
  if seen[''] then
    sequence, next_due, forget_at, collect_at = unpacked('<dddd', seen[''])
  else -- a new book; holds of one that was lost are not of it
    next_due, collect_at = NEVER, now + COLLECT_MS
    call('DEL', HOLDS, DUE)
  end
end

-- The counter as it is stored, or false.
local function stored(name)
  local c = seen[name]
  if c == nil then
    c = call('HGET', COUNTERS, name)
  end
  if type(c) == 'string' then
    c = read(c)
  end
  seen[name] = c
  return c
end

-- The counter, or one with all at 0, not yet of the book, where it does not exist.
local function counter(name, kind, ms)
  local c = stored(name)
  if not c or gone(c) then
    return fresh(kind, ms)
  end
  return c
end

local function change(at)
  sequence = max(sequence + 1, at * 1000)
  changed = true
end

local function keep(name, c)
  seen[name] = c
  dirty[name] = true
  dropped[name] = nil
  needed_until = max(needed_until, c.kept_until, c.held_until)
end

local function outcome(status, told, content)
  return format('["%s",%d,%d,[%s],%s]', status, now, sequence, concat(told or {}, ','),
    content and cjson.encode(content) or '""'), status
end

-- What is known of a move: kind, content, outcome, until when, and of a hold state, expires_at and
-- keep_ms. Nothing where nothing is known by now.
local function known_of(id)
  local known = call('HMGET', KEY_OF[id], 'kind', 'content', 'outcome', 'until', 'state',
    'expires', 'keep')
  if not known[1] then
    return nil
  end
  local state, known_until = known[5], tonumber(known[4])
  local expires_at, keep_ms = tonumber(known[6] or 0), tonumber(known[7] or 0)
  if state == 'held' and call('HEXISTS', HOLDS, id) == 0 then
    state, known_until = 'expired', expires_at + keep_ms
  end
  if known_until <= now then
    return nil
  end
  return {kind = known[1], content = known[2], outcome = known[3], state = state,
    expires_at = expires_at, keep_ms = keep_ms}
end

-- Moves: each kind answers the outcome as JSON, and its status.

local function entry_of(wire)
  return {
    name = wire[1], kind = wire[2], ms = wire[3], add = amount(wire[4]),
    limit = wire[5] ~= '' and amount(wire[5]) or nil,
    soft = wire[6] ~= '' and amount(wire[6]) or nil,
    cooldown = wire[7], forced = wire[8] == 1,
  }
end

local function look(entries)
  local asked = {}
  for i, wire in ipairs(entries) do
    local e = entry_of(wire)
    local c = counter(e.name, e.kind, e.ms)
    asked[i] = {e, c, current(c)}
  end
  return asked
end

-- Whether an entry is refused, and how all stand if one is.
local function refused(asked)
  local any = false
  for _, line in ipairs(asked) do
    any = any or refusal(line[2], line[3], line[1]) > 0
  end
  if not any then
    return false
  end
  local told = {}
  for i, line in ipairs(asked) do
    local why = refusal(line[2], line[3], line[1])
    told[i] = numbers(line[2], frees_at(line[2], line[1], why), why)
  end
  return true, told
end

-- How a forced entry stands: whether the next impression would be refused.
local function one_more(e, c)
  local following = {add = {0, 1}, limit = e.limit, soft = e.soft, cooldown = e.cooldown}
  local why = refusal(c, current(c), following)
  return numbers(c, frees_at(c, following, why), why)
end

local function told_of(asked)
  local told = {}
  for i, line in ipairs(asked) do
    told[i] = line[1].forced and one_more(line[1], line[2]) or numbers(line[2])
  end
  return told
end

local function check(move)
  local asked = look(move[7])
  local is_refused, told = refused(asked)
  if is_refused then
    return outcome('refused', told)
  end
  return outcome('applied', told_of(asked))
end

local function count_all(entries, status)
  local asked = look(entries)
  local is_refused, told = refused(asked)
  if is_refused then
    return outcome('refused', told)
  end
  change(now)
  for _, line in ipairs(asked) do
    if not nothing(line[1].add) then
      count(line[2], line[3], line[1].add, line[1].cooldown)
      keep(line[1].name, line[2])
    end
  end
  return outcome(status, told_of(asked))
end

-- Holds and removal: defined only in calls that need them, as to define them costs as much as
-- to count. A claim is {name, kind, ms, add, cooldown_ms, claimed}, all text.

local function hold_kinds()
  local function give_back(name, kind, ms, claimed)
    local c = counter(name, kind, ms)
    if not nothing(claimed) then
      unhold(c, claimed)
      keep(name, c)
    end
    return c
  end

  local function claims_of(id)
    local text = call('HGET', HOLDS, id)
    return text and cjson.decode(text) or {}
  end

  local function unlisted(id)
    call('HDEL', HOLDS, id)
    call('ZREM', DUE, id)
  end

  -- Ends a hold by a move.
  local function resolve(id, state, resolution, keep_ms)
    unlisted(id)
    call('HSET', KEY_OF[id], 'state', state, 'resolved', now_text, 'resolution', resolution,
      'until', format('%d', now + keep_ms))
    call('PEXPIRE', KEY_OF[id], format('%d', keep_ms + SLACK_MS))
  end

  local function expire(id, expires_at)
    change(expires_at)
    for _, claim in ipairs(claims_of(id)) do
      give_back(claim[1], claim[2], tonumber(claim[3]), amount(claim[6]))
    end
    unlisted(id)
  end

  -- What is known of the hold `of`, expired if it is due; nothing where there is none.
  local function hold_of(of)
    local known = known_of(of)
    if known and known.state == 'held' and known.expires_at <= now then
      expire(of, known.expires_at)
      known = known_of(of)
    end
    return known and known.state and known or nil
  end

  local function hold(move)
    local asked = look(move[7])
    local is_refused, told = refused(asked)
    if is_refused then
      return outcome('refused', told)
    end
    change(now)
    for _, line in ipairs(asked) do
      local e, c = line[1], line[2]
      if not nothing(e.add) then
        c.held = plus(c.held, e.add)
        c.held_until = max(c.held_until, move[5])
        keep(e.name, c)
      end
    end
    return outcome('applied', told_of(asked))
  end

  -- The lines of a commit: each has the counter, what its hold claims, and what is asked for it.
  local function lines_of(move)
    local asked, lines = {}, {}
    for _, wire in ipairs(move[7]) do
      asked[wire[1]] = entry_of(wire)
    end
    local function line(name, kind, ms, add, cooldown, claimed)
      local c = counter(name, kind, ms)
      local e = asked[name]
      asked[name] = nil
      local more = nil
      if e and above(e.add, add) then
        more = {add = minus(e.add, add), limit = e.limit, soft = e.soft, cooldown = 0,
          forced = e.forced}
      end
      lines[#lines + 1] = {name = name, c = c, counted = current(c), add = e and e.add or add,
        cooldown = cooldown, claimed = claimed, more = more}
    end
    for _, claim in ipairs(claims_of(move[4])) do
      line(claim[1], claim[2], tonumber(claim[3]), amount(claim[4]), tonumber(claim[5]),
        amount(claim[6]))
    end
    for _, wire in ipairs(move[7]) do
      if asked[wire[1]] then
        line(wire[1], wire[2], wire[3], ZERO, wire[7], ZERO)
      end
    end
    return lines
  end

  local function settle(move)
    local lines = lines_of(move)
    local told, is_refused = {}, false
    for i, line in ipairs(lines) do
      local c, why = line.c, 0
      if too_great(plus(minus(plus(line.counted, c.held), line.claimed), line.add)) then
        why = 8
      end
      if line.more then
        local more_why = refusal(c, line.counted, line.more)
        why = (more_why >= 8 and why == 8) and more_why or why + more_why
      end
      is_refused = is_refused or why > 0
      local freed_at = 0
      if why > 0 then
        freed_at = line.more and frees_at(c, line.more, why) or NEVER
      end
      told[i] = numbers(c, freed_at, why)
    end
    if is_refused then
      return outcome('refused', told)
    end
    change(now)
    for i, line in ipairs(lines) do
      if not nothing(line.add) then
        count(line.c, line.counted, line.add, line.cooldown)
      end
      unhold(line.c, line.claimed)
      if not nothing(line.add) or not nothing(line.claimed) then
        keep(line.name, line.c)
      end
      told[i] = numbers(line.c)
    end
    return outcome('applied', told)
  end

  local function commit(move)
    local claimed = hold_of(move[4])
    local told, status
    if not claimed then
      return outcome('unknown')
    elseif claimed.state == 'held' then
      told, status = settle(move)
    elseif claimed.state == 'expired' and #move[8] > 0 then
      told, status = count_all(move[8], 'late')
    else
      return outcome(claimed.state)
    end
    if status ~= 'refused' then
      resolve(move[4], 'committed', move[3], claimed.keep_ms)
    end
    return told, status
  end

  local function release(move)
    local claimed = hold_of(move[4])
    if not claimed or claimed.state ~= 'held' then
      return outcome(claimed and claimed.state or 'unknown')
    end
    change(now)
    local told = {}
    for i, claim in ipairs(claims_of(move[4])) do
      told[i] = numbers(give_back(claim[1], claim[2], tonumber(claim[3]), amount(claim[6])))
    end
    resolve(move[4], 'released', move[3], claimed.keep_ms)
    return outcome('applied', told)
  end

  -- Takes what open holds claim of counters that are removed.
  local function forget_claims(removed)
    local holds = call('HGETALL', HOLDS)
    for i = 1, #holds, 2 do
      local claims, lost = cjson.decode(holds[i + 1]), false
      for _, claim in ipairs(claims) do
        if removed[claim[1]] and claim[6] ~= '0' then
          claim[6] = '0'
          lost = true
        end
      end
      if lost then
        call('HSET', HOLDS, holds[i], cjson.encode(claims))
      end
    end
  end

  local function remove(move)
    local removed, told = {}, {}
    for i, line in ipairs(look(move[7])) do
      told[i] = numbers(line[2])
      removed[line[1].name] = true
    end
    change(now)
    for name in pairs(removed) do
      if stored(name) then
        seen[name] = false
        dirty[name] = nil
        dropped[name] = true
      end
    end
    forget_claims(removed)
    collect_at = 0
    return outcome('applied', told)
  end

  return {hold = hold, commit = commit, release = release, remove = remove, expire = expire}
end

local kinds_of_holds = nil

local function with_holds()
  kinds_of_holds = kinds_of_holds or hold_kinds()
  return kinds_of_holds
end

local function expire_due()
  if next_due > now then
    return
  end
  local due = call('ZRANGEBYSCORE', DUE, '-inf', now_text, 'WITHSCORES', 'LIMIT', 0, DUE_AT_ONCE)
  for i = 1, #due, 2 do
    with_holds().expire(due[i], tonumber(due[i + 1]))
  end
  local first = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  next_due = first[2] and tonumber(first[2]) or NEVER
end

local function act(move)
  if move[1] == 'count' then
    return count_all(move[7], 'applied')
  elseif move[1] == 'check' then
    return check(move)
  end
  return with_holds()[move[1]](move)
end

local KEPT = {applied = true, refused = true, late = true}

-- Keeps what became of a move, and what a hold claims.
local function remember(move, text, status)
  local kind, id, expires_at, keep_ms = move[1], move[2], move[5], move[6]
  local key = KEY_OF[id]
  call('DEL', key) -- what was known of the id before, and is no longer
  if kind ~= 'hold' or status ~= 'applied' then
    call('HSET', key, 'kind', kind, 'content', move[3], 'outcome', text, 'until',
      format('%d', now + keep_ms))
    call('PEXPIRE', key, format('%d', keep_ms + SLACK_MS))
    return
  end
  local claims = {}
  for i, wire in ipairs(move[7]) do
    claims[i] = {wire[1], wire[2], format('%d', wire[3]), wire[4], format('%d', wire[7]),
      wire[4]}
  end
  local expires = format('%d', expires_at)
  call('HSET', HOLDS, id, cjson.encode(claims))
  call('ZADD', DUE, expires, id)
  call('HSET', key, 'kind', kind, 'content', move[3], 'outcome', text, 'until',
    format('%d', NEVER), 'state', 'held', 'expires', expires, 'keep', format('%d', keep_ms))
  call('PEXPIRE', key, format('%d', max(expires_at - now, 0) + keep_ms + SLACK_MS))
  next_due = min(next_due, expires_at)
  needed_until = max(needed_until, expires_at)
  holds_added = true
end

local function done(move)
  local kind, id = move[1], move[2]
  if id == '' or kind == 'check' then
    return (act(move)), 0
  end
  local known = known_of(id)
  if known and known.kind == kind and known.content == move[3] then
    return known.outcome, 1
  end
  if known then
    return outcome('reused', nil, known.content), 0
  end
  local text, status = act(move)
  if KEPT[status] then
    remember(move, text, status)
  end
  return text, 0
end

-- The end: what changed is written, what can't be seen any more is forgotten.

local function save()
  local fields, names = {}, {}
  for name in pairs(dirty) do
    fields[#fields + 1] = name
    fields[#fields + 1] = written(seen[name])
  end
  for from = 1, #fields, CHUNK do
    call('HSET', COUNTERS, unpack(fields, from, min(from + CHUNK - 1, #fields)))
  end
  for name in pairs(dropped) do
    names[#names + 1] = name
  end
  for from = 1, #names, CHUNK do
    call('HDEL', COUNTERS, unpack(names, from, min(from + CHUNK - 1, #names)))
  end
end

-- Drops counters that are gone, and works out anew how long the book is to be kept.
local function collect()
  local last = call('ZREVRANGE', DUE, 0, 0, 'WITHSCORES')
  local all = call('HGETALL', COUNTERS)
  needed_until = max(now, tonumber(last[2] or 0))
  collect_at = now + 12 * COLLECT_MS
  for i = 1, #all, 2 do
    if all[i] ~= '' then
      local c = read(all[i + 1])
      local kept_until = max(c.kept_until, c.held_until)
      if kept_until + SLACK_MS > now or not nothing(c.held) then
        needed_until = max(needed_until, kept_until)
        collect_at = min(collect_at, max(kept_until + SLACK_MS, now + COLLECT_MS))
      else
        call('HDEL', COUNTERS, all[i])
      end
    end
  end
  forget_at = 0
end

-- Sets when the keys of the book are forgotten, with room so that it isn't set at every call.
local function set_end()
  local later = needed_until > forget_at
  if later then
    forget_at = min(needed_until + SLACK_MS, NEVER)
  end
  call('HSET', COUNTERS, '', pack('<dddd', sequence, next_due, forget_at, collect_at))
  if not later and not holds_added then
    return
  end
  for _, key in ipairs({COUNTERS, HOLDS, DUE}) do
    if forget_at == NEVER then
      call('PERSIST', key)
    else
      call('PEXPIRE', key, format('%d', max(forget_at - now, 0) + SLACK_MS))
    end
  end
end

local function answer(now_ms, moves, ids, first)
  begin(now_ms, ids, first)
  prefetch(moves)
  expire_due()
  local told = {}
  for i, move in ipairs(moves) do
    local text, replayed = done(move)
    told[i] = '[' .. replayed .. ',' .. text .. ']'
  end
  if changed then
    save()
    if now >= collect_at then
      collect()
    end
    set_end()
  end
  return '[' .. concat(told, ',') .. ']'
end

local answers, first = {}, 1
for i, asked in ipairs(cjson.decode(ARGV[1])) do
  local is_done, text = pcall(answer, asked[1], asked[2], asked[3], first)
  if not is_done then
    text = cjson.encode(type(text) == 'table' and text.err or tostring(text))
  end
  answers[i] = text
  first = first + 3 + #asked[3]
end
return '[' .. concat(answers, ',') .. ']'
