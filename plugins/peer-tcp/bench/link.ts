import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Log, Secret, type World } from "@heddle/plugin-sdk";
import { TcpPeerLink } from "../src/tcp-peer-link.ts";

/*
 * Two processes on one machine: request and response, then one way with small and with large frames.
 *   node --conditions=source --import tsx plugins/peer-tcp/bench/link.ts [secret | unix | tls <cert> <key> <ca>]
 */
const [mode = "secret", ...files] = process.argv.slice(2);
const isChild = process.send !== undefined;
const never = new AbortController().signal;

const world: World = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timer: (ms, run) => {
    const handle = setTimeout(run, ms).unref();
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
  random: () => Math.random(),
  uuid: () => "",
};
const log: Log = { child: () => log, debug() {}, info() {}, warn: console.warn, error: console.error };

function make(): TcpPeerLink {
  const common = {
    port: 0,
    pendingBytes: 16_777_216,
    waitingBytes: 67_108_864,
    frameBytes: 8_388_608,
    heartbeat: 1_000,
    connectTimeout: 5_000,
    handshakes: 64,
  };
  const [cert = "", key = "", ca = ""] = files.map((file) => readFileSync(file, "utf8"));
  const kinds: Record<string, object> = {
    secret: { host: "127.0.0.1", secret: new Secret("a secret of the measurement") },
    unix: { socketPath: `/tmp/peer-bench-${process.pid}` },
    tls: { host: "127.0.0.1", tls: { cert, key: new Secret(key), ca } },
  };
  const settings = { ...common, ...kinds[mode] } as ConstructorParameters<typeof TcpPeerLink>[0]["settings"];
  return new TcpPeerLink({ world, log, settings, meter: { record() {}, refused() {} } });
}

/** Answers requests (first byte 1), counts the rest and answers the last of them (first byte 2). */
async function child(): Promise<void> {
  const link = make();
  let back = "";
  process.once("disconnect", () => void link[Symbol.asyncDispose]().then(() => process.exit()));
  process.on("message", (address) => {
    back = address as string;
  });
  const address = await link.listen((_from, frame) => {
    if (frame[0] !== 0) return link.send(back, frame.slice(), { signal: never });
  });
  process.send?.(address);
}

async function parent(): Promise<void> {
  const link = make();
  let answered = () => {};
  const mine = await link.listen(() => answered());
  const peer = fork(fileURLToPath(import.meta.url), [mode, ...files]);
  const [address] = (await once(peer, "message")) as [string];
  peer.send(mine);
  const send = (frame: Uint8Array) => link.send(address, frame, { signal: never });
  const ask = (frame: Uint8Array) =>
    new Promise<void>((resolve) => {
      answered = resolve;
      void send(frame);
    });

  const request = Buffer.alloc(200, 1);
  for (let i = 0; i < 2_000; i += 1) await ask(request);
  const times: number[] = [];
  for (let i = 0; i < 10_000; i += 1) {
    const started = performance.now();
    await ask(request);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (part: number) => `${(times[Math.floor(times.length * part)] as number).toFixed(3)} ms`;
  console.log(`${mode}: request and response of 200 B, p50 ${at(0.5)}, p99 ${at(0.99)}`);

  for (const [size, count] of [
    [200, 1_000_000],
    [65_536, 20_000],
  ] as const) {
    const frame = Buffer.alloc(size);
    const last = Buffer.alloc(size, 2);
    const started = performance.now();
    for (let i = 1; i < count; i += 1) await send(frame);
    await ask(last);
    const seconds = (performance.now() - started) / 1_000;
    const rate = Math.round(count / seconds);
    console.log(`${mode}: one way, ${size} B: ${rate} frames/s, ${((rate * size) / 1e6).toFixed(0)} MB/s`);
  }
  peer.disconnect();
  await link[Symbol.asyncDispose]();
}

await (isChild ? child() : parent());
