-- What is known of moves of one book, at one moment.
--
-- KEYS  of the book :h, then :m:<id> of each id
-- ARGV  the ids, in the order of their keys
-- Returns for each id the fields of :m:<id> as stored, then whether the hold is open: 1 or 0.

local found = {}
for i, id in ipairs(ARGV) do
  local fields = redis.call('HMGET', KEYS[i + 1], 'kind', 'content', 'outcome', 'until', 'state',
    'expires', 'keep', 'resolved', 'resolution')
  fields[#fields + 1] = redis.call('HEXISTS', KEYS[1], id)
  found[i] = fields
end
return found
