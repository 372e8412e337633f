import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { serve, type TestServer } from "../testing/server.ts";

const run = promisify(execFile);
const found = ["/usr/bin/coap-client-notls", "/usr/local/bin/coap-client-notls"].find((path) => existsSync(path));

describeNeeding("coap-client-notls", found, (client) => {
  let dir: string;
  let server: TestServer;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "coap-"));
  });
  afterAll(() => rm(dir, { recursive: true }));
  beforeEach(async () => {
    server = await serve();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const url = (path: string) => `coap://127.0.0.1:${server.port}/api/v1/T1/${path}`;

  it("the command of the tutorial works", async () => {
    await run(client, ["-m", "POST", url("telemetry"), "-t", "json", "-e", "{temperature:25}"]);
    expect(server.platform.telemetryTexts).toEqual(["{temperature:25}"]);
  });

  it.each([64, 1_024])("transports 23: 10 KB go up and down in blocks of %d", async (size) => {
    const value = Array.from({ length: 1_024 }, (_, i) => `value-${String(i).padStart(4, "0")}`).join("");
    const body = JSON.stringify({ big: value });
    expect(body.length).toBeGreaterThan(10_000);
    const up = join(dir, `up-${size}`);
    const down = join(dir, `down-${size}`);
    await writeFile(up, body);
    await run(client, ["-m", "post", "-b", String(size), "-t", "json", "-f", up, url("telemetry")]);
    expect(server.platform.telemetryTexts).toEqual([body]);

    server.platform.shared = { big: JSON.stringify(value) };
    await run(client, ["-b", String(size), "-o", down, url("attributes?sharedKeys=big")]);
    expect(await readFile(down, "utf8")).toBe(`{"shared":${body}}`);
  });

  it("COAP-08 COAP-09 it observes, hears changes and leaves", async () => {
    server.platform.shared = { k: "1" };
    const observer = spawn(client, ["-s", "2", "-w", url("attributes")]);
    const text: string[] = [];
    observer.stdout.on("data", (chunk: Buffer) => text.push(chunk.toString()));
    const left = new Promise((resolve) => observer.once("close", resolve));
    await vi.waitFor(() => expect(text.join("")).toContain('{"k":1}'), 2_000);
    const [session] = server.platform.sessions;
    const large = JSON.stringify({ k: "v".repeat(3_000) });
    const call = { signal: new AbortController().signal };
    await session?.down.deliverAttributes('{"k":2}', call);
    await session?.down.deliverAttributes(large, call);
    await vi.waitFor(() => expect(text.join("")).toContain('{"k":2}'));
    await vi.waitFor(() => expect(text.join("")).toContain(large), 2_000);
    await left;
    expect(session?.closed.aborted).toBe(true);
  });
});
