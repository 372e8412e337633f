import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { preparedServer, type Report } from "./scenarios.ts";
import { load, pause } from "./tools.ts";

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Rooms of a message's way, by where a function lies; the first that fits. */
const rooms: readonly (readonly [name: string, fits: RegExp])[] = [
  ["idle", /^\(idle\)/],
  ["garbage collection", /^\(garbage/],
  ["socket (system)", /^(writeBuffer|writev|writeLatin1String|readStart) /],
  ["parse (transport, payload)", /transport-mqtt|devices\/|mqtt-packet|typed-json/],
  ["queue and lanes", /queue-embedded|core\/dist\/src\/(lane|cluster)|rule-record|fdatasync/],
  ["chain and actors", /plugins\/rules|rule-nodes-core|core\/dist\/src\/actor/],
  ["store and feeds", /ts-sqlite|sqlite-driver|plugins\/feeds|postMessage/],
];

/** Main-thread time of one message, room by room, from a profile of the server under load. */
export async function whereTimeGoes(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "heddle-profile-"));
  process.env["SERVER_NODE_ARGS"] = `--cpu-prof --cpu-prof-dir=${folder}`;
  const began = performance.now();
  const { server } = await preparedServer(200);
  delete process.env["SERVER_NODE_ARGS"];
  const target = { port: server.port("MQTT"), pid: server.process.pid ?? 0, connections: 200, window: 10 };
  await load({ ...target, seconds: 2 });
  const from = performance.now() - began;
  const { messages } = await load({ ...target, seconds: 5 });
  const to = performance.now() - began;
  await pause(500);
  await server.stop();
  const [main] = readdirSync(folder).sort();
  const sums = sumByRoom(JSON.parse(readFileSync(join(folder, main ?? ""), "utf8")) as Profile, { from, to });
  for (const [name, micros] of sums) {
    if (name !== "idle")
      report({ what: `  main thread, ${name}`, measured: `${(micros / messages).toFixed(1)} µs a message`, goal: "" });
  }
  rmSync(folder, { recursive: true, force: true });
  await server[Symbol.asyncDispose]();
}

function sumByRoom({ nodes, samples, timeDeltas }: Profile, window: { from: number; to: number }): Map<string, number> {
  const roomOf = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(`${callFrame.functionName} ${callFrame.url}`)]));
  const sums = new Map<string, number>([...rooms.map(([name]) => [name, 0] as const), ["the rest", 0]]);
  let at = 0;
  samples.forEach((sample, i) => {
    const took = timeDeltas[i] ?? 0;
    at += took;
    const room = roomOf.get(sample) ?? "the rest";
    if (at / 1_000 >= window.from && at / 1_000 <= window.to) sums.set(room, (sums.get(room) ?? 0) + took);
  });
  return sums;
}

const nameOf = (frame: string): string => rooms.find(([, fits]) => fits.test(frame))?.[0] ?? "the rest";
