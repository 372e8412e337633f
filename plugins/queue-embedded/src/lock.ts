import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { World } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";

interface Holder {
  readonly pid: number;
  /** When that process started, as its system tells; empty where it does not. A pid alone is used again. */
  readonly started: string;
  readonly token: string;
}

/** Directories this process holds: a lock file with our own pid may also be left over from an earlier life. */
const held = new Set<string>();

/** Another one taking over a dead lock at the same moment has finished by then. */
const settleMs = 20;

/** Makes sure that no other process has the directory; a lock whose process is gone is taken over. */
export async function lockDirectory(dir: string, world: World): Promise<AsyncDisposable> {
  const path = resolve(dir, "lock");
  await mkdir(dir, { recursive: true });
  if (held.has(path)) throw fault("queue.locked", `${dir} is in use by this process`);
  held.add(path);
  try {
    const own: Holder = { pid: process.pid, started: await startOf(process.pid), token: world.uuid() };
    await take(path, own);
  } catch (error) {
    held.delete(path);
    throw error;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      if (held.delete(path)) await rm(path, { force: true });
    },
  };
}

async function take(path: string, own: Holder): Promise<void> {
  const text = JSON.stringify(own);
  try {
    return await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const other = await holderOf(path);
  if (other !== undefined && other.pid !== own.pid && (await isAlive(other))) {
    throw fault("queue.locked", `${path} belongs to process ${other.pid}, which is running`);
  }
  const draft = join(`${path}.${own.token}`);
  await writeFile(draft, text);
  await rename(draft, path);
  await pause(settleMs);
  const winner = await holderOf(path);
  if (winner?.token !== own.token)
    throw fault("queue.locked", `${path} was taken by process ${winner?.pid ?? "unknown"}`);
}

/** Undefined when nothing sensible is in the file: its writer died before it had finished. */
async function holderOf(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, "utf8");
  try {
    const { pid, started, token } = JSON.parse(text) as Partial<Holder>;
    return Number.isInteger(pid) ? { pid: pid as number, started: String(started), token: String(token) } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function isAlive({ pid, started }: Holder): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = await startOf(pid);
  return started === "" || now === "" || now === started;
}

/** On Linux, the boot and the tick in which the process started; elsewhere empty. */
async function startOf(pid: number): Promise<string> {
  if (process.platform !== "linux") return "";
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The command, in brackets, may hold blanks; the start is the 20th field after it.
    return `${boot.trim()}/${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
