import { cpus, loadavg } from "node:os";
import { clusterCalls } from "./cluster.ts";
import { coapObservers, coapPosts } from "./coap.ts";
import { firmware } from "./firmware.ts";
import { connectionMemory } from "./memory.ts";
import {
  bytesPerPoint,
  cpuPerMessage,
  highestRate,
  httpRate,
  liveLatency,
  preparedServer,
  type Row,
  rpcLatency,
  startTime,
} from "./scenarios.ts";
import { reconnectStorm } from "./storm.ts";
import { whereTimeGoes } from "./where-time-goes.ts";

/** `npm run bench [name…]`: ratios and rates of one run on one machine, as a table. */
const wanted = new Set(process.argv.slice(2));
const runs = (name: string) => wanted.size === 0 || wanted.has(name);
const [loadBefore = 0] = loadavg();
const rows: Row[] = [];
const report = (row: Row) => {
  rows.push(row);
  process.stderr.write(`${row.what}: ${row.measured}\n`);
};

if (runs("start")) await startTime(report);
if (["cpu", "rate", "live", "rpc", "http"].some(runs)) {
  const at = await preparedServer(1_000);
  try {
    if (runs("rpc")) await rpcLatency(at, report);
    if (runs("live")) for (const rate of [1_000, 5_000]) await liveLatency(at, rate, report);
    if (runs("http")) await httpRate(at, report);
    if (runs("cpu")) await cpuPerMessage(at, report);
    if (runs("rate")) await highestRate(at, report);
  } finally {
    await at.server[Symbol.asyncDispose]();
  }
}
if (runs("size")) await bytesPerPoint(report);
if (runs("where")) await whereTimeGoes(report);
// Only when asked for: it needs real services.
if (wanted.has("cluster")) await clusterCalls(report);
if (runs("memory")) await connectionMemory(report);
if (runs("coap")) await coapPosts(report);
if (runs("observers")) await coapObservers(report);
if (runs("storm")) await reconnectStorm(report);
if (runs("firmware")) await firmware(report);

const width = (pick: (row: Row) => string) => Math.max(...rows.map((row) => pick(row).length));
const [what, measured] = [width((row) => row.what), width((row) => row.measured)];
process.stdout.write(
  `\n${cpus().length} cores, ${cpus()[0]?.model ?? ""}, Node ${process.version}, load ${loadBefore.toFixed(1)} before; npm run bench ${[...wanted].join(" ")}\n\n`,
);
for (const row of rows)
  process.stdout.write(`${row.what.padEnd(what)}  ${row.measured.padEnd(measured)}  ${row.goal}\n`);
