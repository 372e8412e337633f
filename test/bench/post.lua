wrk.method = "POST"
wrk.body = '{"temperature":25.5,"humidity":41,"on":true}'
