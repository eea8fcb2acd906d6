-- A script for wrk: POST the same request repeatedly, and print the figures as one line of JSON.
-- wrk -t1 -c32 -d5 -s load.lua http://127.0.0.1:6090/acme/task/ID/job -- TOKEN

function init(args)
  wrk.method = "POST"
  wrk.body = '{"task_arguments":[100]}'
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[1]
end

function done(summary, latency, requests)
  local failed = summary.errors
  print(string.format(
    '{"answered":%d,"seconds":%.3f,"errors":%d,"p50":%.3f,"p99":%.3f}',
    summary.requests, summary.duration / 1e6,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
