import { Fault, Secret, type World } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { nodeHealth } from "./health.ts";
import { createLog } from "./log.ts";
import { MetricRegistry, maxSeries } from "./metrics.ts";
import { metricName } from "./plugin-metrics.ts";
import { collectProcessMetrics } from "./process-metrics.ts";

function logged(format: "json" | "text") {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format,
    write: (line) => void lines.push(line),
    now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  });
  return { lines, log };
}

it("writes one JSON object per line, with child names, causes side by side and secrets masked", () => {
  const { lines, log } = logged("json");
  const error = new Fault("unavailable", "queue.down", "send failed", {
    cause: new Error("connect", { cause: new Error("ECONNREFUSED") }),
    data: { topic: "x" },
  });
  log.debug("not shown");
  log
    .child("queue")
    .child("reader")
    .warn("reader\nstopped", {
      error,
      key: new Secret("geheim"),
      deep: { key: new Secret("geheim") },
      body: new Uint8Array(9),
      n: 1n,
      level: "x",
    });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.match(/\n/g)).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toEqual({
    time: "2026-01-02T03:04:05.006Z",
    level: "warn",
    name: "queue.reader",
    message: "reader\nstopped",
    error: { code: "queue.down", message: "send failed", causes: ["connect", "ECONNREFUSED"], data: { topic: "x" } },
    key: "***",
    deep: { key: "***" },
    body: "<9 bytes>",
    n: "1",
    level_: "x",
  });
});

it("writes readable lines, and bounds what it is given", () => {
  const { lines, log } = logged("text");
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  log.child("mqtt").info("listening", { port: 1883, host: "0.0.0.0", note: "two words" });
  log.error("odd", { circle, long: "x".repeat(10_000), defect: new TypeError("bug") });
  expect(lines[0]).toBe('03:04:05.006 INFO  mqtt: listening port=1883 host=0.0.0.0 note="two words"\n');
  expect(lines[1]!.length).toBeLessThan(10_000);
  expect(lines[1]).toContain("TypeError");
});

it("prints counters, gauges and histograms in the text format", () => {
  const registry = new MetricRegistry();
  const sent = registry.metric("heddle_sent_total", {
    kind: "counter",
    help: "Sent\nthings.",
    labels: ["topic", "ok"],
  });
  sent.record(1, { topic: 'a"b\\', ok: "yes" });
  sent.record(2, { topic: 'a"b\\', ok: "yes" });
  sent.record(1, { topic: "c", ok: "no" });
  const wait = registry.metric("heddle_wait_seconds", { kind: "histogram", help: "Wait.", buckets: [1, 0.1] });
  for (const value of [0.1, 0.5, 7]) wait.record(value);
  registry.metric("heddle_open", { kind: "gauge", help: "Open." }).record(3);
  registry.gauge("heddle_depth", "Depth.", () => [{ labels: { box: "x" }, value: 4 }]);
  expect(registry.text()).toBe(
    `${[
      "# HELP heddle_sent_total Sent\\nthings.",
      "# TYPE heddle_sent_total counter",
      'heddle_sent_total{topic="a\\"b\\\\",ok="yes"} 3',
      'heddle_sent_total{topic="c",ok="no"} 1',
      "# HELP heddle_wait_seconds Wait.",
      "# TYPE heddle_wait_seconds histogram",
      'heddle_wait_seconds_bucket{le="0.1"} 1',
      'heddle_wait_seconds_bucket{le="1"} 2',
      'heddle_wait_seconds_bucket{le="+Inf"} 3',
      "heddle_wait_seconds_sum 7.6",
      "heddle_wait_seconds_count 3",
      "# HELP heddle_open Open.",
      "# TYPE heddle_open gauge",
      "heddle_open 3",
      "# HELP heddle_depth Depth.",
      "# TYPE heddle_depth gauge",
      'heddle_depth{box="x"} 4',
    ].join("\n")}\n`,
  );
});

it("bounds the series of a metric, shares names between instances and refuses two kinds under one", () => {
  const registry = new MetricRegistry();
  const many = registry.metric("heddle_many_total", { kind: "counter", help: "", labels: ["id"] });
  for (let i = 0; i < maxSeries + 50; i++) many.record(1, { id: String(i) });
  const lines = registry.text().trim().split("\n");
  expect(lines).toHaveLength(2 + maxSeries + 1);
  expect(lines.at(-1)).toBe('heddle_many_total{id="other"} 50');
  registry.metric("heddle_many_total", { kind: "counter", help: "" }, { plugin: "b" }).record(1);
  expect(registry.text().match(/# TYPE/g)).toHaveLength(1);
  expect(() => registry.metric("heddle_many_total", { kind: "gauge", help: "" })).toThrow("both");
});

it("names metrics after area, name and unit", () => {
  expect(metricName("queue-kafka", "sendSeconds", { kind: "histogram", unit: "s" })).toBe(
    "heddle_queue_kafka_send_seconds",
  );
  expect(metricName("mqtt", "received", { kind: "counter", unit: "messages" })).toBe(
    "heddle_mqtt_received_messages_total",
  );
  expect(metricName("store", "size", { kind: "gauge", unit: "bytes" })).toBe("heddle_store_size_bytes");
});

it("measures its own process", () => {
  const registry = new MetricRegistry();
  using _measuring = collectProcessMetrics(registry);
  const text = registry.text();
  expect(Number(/^heddle_process_resident_bytes (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(1e6);
  expect(text).toMatch(/^heddle_process_cpu_seconds_total [\d.]+$/m);
  expect(text).toMatch(/^heddle_process_event_loop_lag_p99_seconds [\d.e-]+$/m);
});

it("counts a health check that hangs or throws as down", async () => {
  const world = {
    timer: (_ms: number, run: () => void) => {
      queueMicrotask(run);
      return { [Symbol.dispose]() {} };
    },
  } as unknown as World;
  const hangs = { id: "hangs", check: () => new Promise<never>(() => {}) };
  const throws = {
    id: "throws",
    check: async () => {
      throw new Error("broken");
    },
  };
  const health = await nodeHealth([hangs, throws], { world, serving: true });
  expect(health).toEqual({
    state: "down",
    ready: false,
    plugins: {
      hangs: { state: "down", detail: "the health check took more than 2000 ms" },
      throws: { state: "down", detail: "broken" },
    },
  });
});
