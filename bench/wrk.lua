-- Arguments after the URL: how many bytes to upload with each request (0: a GET), and the first and the last number of
-- paths to ask for at random (none: the URL's own), or the name of a header and a file with a value for it in each line,
-- which the requests have in turn. Prints the figures as one JSON line.
function init(arguments)
  local uploadBytes = tonumber(arguments[1])
  if uploadBytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", uploadBytes)
  end
  if arguments[2] ~= nil and tonumber(arguments[2]) == nil then
    local requests = {}
    local at = 0
    for value in io.lines(arguments[3]) do
      wrk.headers[arguments[2]] = value
      requests[#requests + 1] = wrk.format()
    end
    request = function()
      at = at % #requests + 1
      return requests[at]
    end
  elseif arguments[2] ~= nil then
    local requests = {}
    for number = tonumber(arguments[2]), tonumber(arguments[3]) do
      requests[#requests + 1] = wrk.format(nil, string.format("/area/%05d/item", number))
    end
    request = function() return requests[math.random(#requests)] end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"elapsedUs":%d,"bytes":%d,"p50Us":%d,"p99Us":%d,"failed":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
