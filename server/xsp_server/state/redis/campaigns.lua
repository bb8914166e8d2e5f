-- One campaign document stored or deleted, in one atomic step, as StateBackend rules.
--
-- KEYS     :id, :key, :version, :doc, as below; their hash tag keeps them in one slot
-- ARGV     "put", campaign_id, expected revision or "", expected version or "", key, body,
--          request_id, now_ms
--       or "delete", campaign_id, expected revision or "", expected version or ""
-- Returns the status, and where there is a document its id and its fields.
--
-- Keys:
--   :id       sorted set of ids, all with the score 0: in the order of their bytes
--   :key      hash: the id of the campaign that has a key
--   :version  counts changes
--   :doc      hash: the documents, each field as id, NUL, name

local call = redis.call
local IDS, KEY, VERSION, DOCUMENTS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local NAMES = {'key', 'body', 'request_id', 'revision', 'created_at', 'updated_at'}
local what, id, expected, expected_version, key, body, request_id, now = unpack(ARGV)

local function fields_of(campaign_id)
  local fields = {}
  for i, name in ipairs(NAMES) do
    fields[i] = campaign_id .. '\0' .. name
  end
  return fields
end

local function read(campaign_id)
  return call('HMGET', DOCUMENTS, unpack(fields_of(campaign_id)))
end

local function told(status, campaign_id, fields)
  return {status, campaign_id, unpack(fields)}
end

local old = read(id)
local exists = old[4]
local revision = exists or '0'

if what == 'put' and exists and request_id ~= '' and old[3] == request_id then
  return told('replayed', id, old)
end
if what == 'delete' and not exists then
  return {'absent'}
end
if expected ~= '' and expected ~= revision then
  return exists and told('differs', id, old) or {'differs'}
end

if expected_version ~= '' and expected_version ~= (call('GET', VERSION) or '0') then
  return {'outdated'}
end

local holder = what == 'put' and key ~= '' and call('HGET', KEY, key)
if holder and holder ~= id then
  return told('taken', holder, read(holder))
end

if exists and old[1] ~= '' then
  call('HDEL', KEY, old[1])
end
call('INCR', VERSION)
if what == 'delete' then
  call('HDEL', DOCUMENTS, unpack(fields_of(id)))
  call('ZREM', IDS, id)
  return told('stored', id, old)
end
if key ~= '' then
  call('HSET', KEY, key, id)
end
call('ZADD', IDS, 0, id)
local stored = {key, body, request_id, string.format('%.0f', tonumber(revision) + 1),
  exists and old[5] or now, now}
for i, field in ipairs(fields_of(id)) do
  call('HSET', DOCUMENTS, field, stored[i])
end
return told('stored', id, stored)
