import { setTimeout as sleep } from "node:timers/promises";
import type { Log, World } from "@heddle/plugin-sdk";

/** Real time, without the test runner that the kits of the SDK bring: the child process of the measurements has none. */
export const world: World = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
  timer: (ms, run) => {
    const handle = setTimeout(run, ms).unref();
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
  random: () => 0.5,
  uuid: () => "00000000-0000-4000-8000-000000000000",
};

export const silentLog: Log = { child: () => silentLog, debug() {}, info() {}, warn() {}, error() {} };
