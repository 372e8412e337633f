import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realWorld } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockDirectory } from "./lock.ts";

const world = realWorld();
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "queue-lock-"));
});
afterEach(() => rm(dir, { recursive: true }));

const leave = (holder: object) => writeFile(join(dir, "lock"), JSON.stringify({ token: "t", started: "", ...holder }));

describe("the lock of a directory", () => {
  it("is refused to a second user in this process and free after the first has left", async () => {
    const lock = await lockDirectory(dir, world);
    await expect(lockDirectory(dir, world)).rejects.toMatchObject({ code: "queue.locked" });
    await lock[Symbol.asyncDispose]();
    await (await lockDirectory(dir, world))[Symbol.asyncDispose]();
  });

  it("is refused while another process lives, and taken over when it was killed", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await once(child, "spawn");
    await leave({ pid: child.pid });
    await expect(lockDirectory(dir, world)).rejects.toMatchObject({
      code: "queue.locked",
      message: expect.stringContaining(`process ${child.pid}`),
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    await (await lockDirectory(dir, world))[Symbol.asyncDispose]();
  });

  it("of an earlier process with the same pid is taken over", async () => {
    await leave({ pid: process.pid, started: "an earlier boot/1" });
    await (await lockDirectory(dir, world))[Symbol.asyncDispose]();
    if (process.platform !== "linux") return;
    await leave({ pid: process.ppid, started: "an earlier boot/1" });
    await (await lockDirectory(dir, world))[Symbol.asyncDispose]();
  });

  it("that was written half is taken over, by one of two", async () => {
    await writeFile(join(dir, "lock"), '{"pid":');
    const lock = await lockDirectory(dir, world);
    expect(JSON.parse(await readFile(join(dir, "lock"), "utf8"))).toMatchObject({ pid: process.pid });
    await lock[Symbol.asyncDispose]();
  });
});
