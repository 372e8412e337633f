import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MetricRegistry } from "./metrics.ts";

/** Memory, processor time and event-loop lag of this process; disposing stops measuring the lag. */
export function collectProcessMetrics(registry: MetricRegistry): Disposable {
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();
  registry.gauge("heddle_process_resident_bytes", "Resident memory.", () => process.memoryUsage.rss());
  registry.gauge("heddle_process_heap_used_bytes", "Used part of the heap.", () => process.memoryUsage().heapUsed);
  registry.counter("heddle_process_cpu_seconds_total", "Processor time, user and system.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  registry.gauge("heddle_process_uptime_seconds", "Since the process started.", () => process.uptime());
  registry.gauge("heddle_process_event_loop_lag_p99_seconds", "99th percentile since the last scrape.", () => {
    const p99 = lag.count === 0 ? 0 : lag.percentile(99) / 1e9;
    lag.reset();
    return p99;
  });
  return { [Symbol.dispose]: () => void lag.disable() };
}
