-- wrk's script: sends the calls of a file in turn, and looks up each answer among those that are expected. The file has
-- lines of a body, a tab and the expected probabilities, separated by commas.
local bodies, n = {}, 0
local exact, close = {}, {}
local isExact = os.getenv('BENCH_EXACT') == '1'
local sent = 0
-- Not local: wrk reads it from the thread at the end.
wrong = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

-- The last probability, in hundred thousandths.
local function rounded(text)
  local last = tonumber(text:match('([^,]+)$'))
  return last and math.floor(last * 1e5 + 0.5)
end

function init(args)
  for line in io.lines(os.getenv('BENCH_ROWS')) do
    local body, expected = line:match('^(.-)\t(.*)$')
    n = n + 1
    bodies[n] = wrk.format('POST', os.getenv('BENCH_PATH'), { ['Content-Type'] = 'application/json' }, body)
    exact[expected] = true
    close[rounded(expected)] = true
  end
end

function request()
  sent = sent + 1
  return bodies[(sent - 1) % n + 1]
end

local function isExpected(body)
  local numbers = body:match('"data":%s*%[([^%]]+)%]') or body:match('^%[([^%]]+)%]')
  if not numbers then return false end
  if isExact then return exact[numbers] end
  local key = rounded(numbers)
  return key and (close[key] or close[key - 1] or close[key + 1])
end

function response(status, headers, body)
  if status ~= 200 or not isExpected(body) then wrong = wrong + 1 end
end

function done(summary, latency, requests)
  local total = 0
  for _, thread in ipairs(threads) do total = total + thread:get('wrong') end
  io.write(string.format('BENCH {"requests":%d,"micros":%d,"wrong":%d,"errors":%d,"p50":%d,"p99":%d,"p999":%d}\n',
    summary.requests, summary.duration, total,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
