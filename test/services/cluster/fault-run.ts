import { setTimeout as pause } from "node:timers/promises";
import { RestClient } from "../../e2e/rest-client.ts";
import type { FaultCase } from "./faults.ts";
import { FaultyCluster, machineMs, type Services } from "./faulty-cluster.ts";
import { firstTs, NumberedDevice, type Protocol } from "./load.ts";
import { takeovers, type Verdict, verdict } from "./verdict.ts";

const ids = ["a", "b", "c"];
const partitions = 128;
const warmUpMs = 3_000;
const settleMs = 90_000;
const drainMs = 120_000;
/** Sessions of each kind on each node. */
const kinds: readonly Protocol[] = ["mqtt", "mqtt", "http", "coap"];

export interface Row {
  readonly fault: string;
  readonly rounds: number;
  readonly messages: number;
  /** Until every partition was served again after a fault was mended, longest, ms. */
  readonly settledMs: number;
  /** Of the partitions that changed hands: how long nobody served them, ms. */
  readonly gaps: readonly number[];
}

export interface FaultReport extends Verdict {
  readonly rows: readonly Row[];
  readonly acknowledged: number;
  /** Acknowledged numbers that cannot be read back. */
  readonly lost: readonly string[];
}

/** Three nodes under load from real clients on all three, through every fault, so many rounds of each. */
export async function faultRun(
  services: Services,
  plan: { readonly cases: readonly FaultCase[]; readonly rounds: number },
  progress: (line: string) => void,
): Promise<FaultReport> {
  await using cluster = new FaultyCluster(services);
  await cluster.open(ids);
  progress(`nodes ${ids.join(", ")} are ready`);
  const devices = await numberedDevices(cluster);
  const load = new AbortController();
  const running = Promise.all(devices.map((device) => device.run(load.signal)));
  const rows: Row[] = [];
  try {
    for (const fault of plan.cases) rows.push(await rounds(cluster, { fault, devices, rounds: plan.rounds }, progress));
  } finally {
    load.abort();
    await running;
  }
  await eventually("the rule engines work off what is left", async () => (await cluster.lag()) === 0, drainMs);
  const lost = await missing(cluster, devices);
  return {
    rows,
    acknowledged: devices.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0),
    lost,
    ...verdict(cluster.observed()),
  };
}

async function numberedDevices(cluster: FaultyCluster): Promise<NumberedDevice[]> {
  const rest = await RestClient.signIn(cluster.server("a").http);
  const devices: NumberedDevice[] = [];
  for (const [index] of ids.entries()) {
    for (const [i, protocol] of kinds.entries()) {
      const name = `F-${index}-${i}-${protocol}`;
      const { status } = await rest.call("POST", `/api/device?accessToken=${name}`, { name });
      if (status !== 200) throw new Error(`device ${name}: ${status}`);
      devices.push(new NumberedDevice(name, protocol, { nodes: () => cluster.servers, prefers: index }));
    }
  }
  return devices;
}

async function rounds(
  cluster: FaultyCluster,
  at: { readonly fault: FaultCase; readonly devices: readonly NumberedDevice[]; readonly rounds: number },
  progress: (line: string) => void,
): Promise<Row> {
  const { fault, devices } = at;
  const sent = () => devices.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
  const before = sent();
  const gaps: number[] = [];
  let settledMs = 0;
  for (let round = 0; round < at.rounds; round++) {
    await pause(warmUpMs);
    const victim = ids[round % ids.length] as string;
    const from = machineMs();
    await fault.run(cluster, victim);
    const mended = machineMs();
    await eventually(
      `full ownership after "${fault.name}"`,
      async () => (await cluster.settled()) === partitions,
      settleMs,
    );
    settledMs = Math.max(settledMs, machineMs() - mended);
    await progressing(devices, fault.name);
    if (fault.moves !== "nothing") gaps.push(...takeovers(cluster.observed(), from));
    progress(`${fault.name}: round ${round + 1} of ${at.rounds}, ${sent()} acknowledged`);
  }
  return { fault: fault.name, rounds: at.rounds, messages: sent() - before, settledMs, gaps };
}

/** Every device gets an acknowledgement again, without anybody's help. */
async function progressing(devices: readonly NumberedDevice[], fault: string): Promise<void> {
  const before = devices.map(({ acknowledged }) => acknowledged.length);
  const stuck = () => devices.filter(({ acknowledged }, i) => acknowledged.length <= (before[i] ?? 0));
  await eventually(
    `every device is served after "${fault}"`,
    async () => stuck().length === 0,
    settleMs,
    () =>
      stuck()
        .map(({ name }) => name)
        .join(),
  );
}

async function missing(cluster: FaultyCluster, devices: readonly NumberedDevice[]): Promise<string[]> {
  const rest = await RestClient.signIn(cluster.server("b").http);
  const lost: string[] = [];
  for (const { name, acknowledged } of devices) {
    const id = await rest.deviceId(name);
    const path = `/api/plugins/telemetry/DEVICE/${id}/values/timeseries?keys=n&startTs=${firstTs}&endTs=${firstTs + 1e9}&limit=1000000`;
    const points: readonly { readonly value: string }[] = (await rest.get(path)).n ?? [];
    const stored = new Set(points.map(({ value }) => Number(value)));
    for (const n of acknowledged) if (!stored.has(n)) lost.push(`${name}: ${n}`);
  }
  return lost;
}

async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  ms: number,
  detail: () => string = () => "",
): Promise<void> {
  for (const end = performance.now() + ms; !(await holds()); ) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what} ${detail()}`);
    await pause(100);
  }
}

/** The table of a report, for people. */
export function table({ rows }: FaultReport): string {
  const head = ["fault", "rounds", "messages", "moved", "gap p50 / p99 ms", "settled again after ms"];
  const at = (values: readonly number[], q: number) =>
    Math.round([...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? 0);
  const cells = rows.map(({ fault, rounds: count, messages, gaps, settledMs }) => [
    fault,
    String(count),
    String(messages),
    String(gaps.length),
    gaps.length === 0 ? "-" : `${at(gaps, 0.5)} / ${at(gaps, 0.99)}`,
    String(Math.round(settledMs)),
  ]);
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...cells.map(line)].join("\n");
}
