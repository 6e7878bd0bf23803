-- Arguments after the URL: how many bytes to upload with each request (0: a GET). Prints the figures as one JSON line.
function init(arguments)
  local uploadBytes = tonumber(arguments[1])
  if uploadBytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", uploadBytes)
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"elapsedUs":%d,"bytes":%d,"p50Us":%d,"p99Us":%d,"failed":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
