import { randomBytes } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { Child } from "../testing/child.ts";
import { flood } from "../testing/flood.ts";
import { serve } from "../testing/server.ts";

const MB = 1024 * 1024;

describe("floods", () => {
  /** The whole of it, 20 s at four times the rate, is bench/flood.ts. */
  it("transports 23: 3 s of confirmable posts do not fill the memory", async () => {
    await using server = await Child.start();
    await flood({ port: server.port, token: "T1", seconds: 0.5, rate: 5_000, sockets: 20 });
    const before = await server.memory();
    const result = await flood({ port: server.port, token: "T1", seconds: 3, rate: 5_000, sockets: 20 });
    const grown = (await server.memory()) - before;
    expect(result.answered).toBeGreaterThan(result.sent * 0.9);
    expect(grown).toBeLessThan(90 * MB);
  });

  it("transports 24: 200k garbage datagrams get no answer and harm nobody", async () => {
    await using server = await serve();
    const peer = await server.peer();
    const seen = ["malformed", "unexpected", "option", "duplicate", "peer-limit"];
    const pool = randomBytes(64 * 1024);
    for (let i = 0; i < 200_000; i++) {
      const from = (i * 7) % (pool.length - 40);
      const bytes = Buffer.from(pool.subarray(from, from + (i % 40)));
      // Two of three are surely no messages; of the others the dice decide.
      if (bytes.length > 0 && i % 3 > 0) bytes[0] = 0x0f | (i & 0xf0);
      peer.raw(bytes);
      // As many as the listener reads in one turn: what the system drops proves nothing.
      if (i % 32 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => {
      const dropped = seen.reduce((sum, reason) => sum + server.counts.of(`dropped/${reason}`), 0);
      expect(dropped).toBeGreaterThan(150_000);
    });
    expect(server.platform.handled).toBe(0);
    expect(server.errors).toEqual([]);
    expect(server.counts.of("dropped/malformed")).toBeGreaterThan(130_000);
    const other = await server.peer();
    const began = performance.now();
    other.request("POST", "api/v1/T1/telemetry", { payload: Buffer.from("{}") });
    await vi.waitFor(() => expect(other.received[0]).toMatchObject({ code: "2.01" }));
    expect(performance.now() - began).toBeLessThan(500);
  });

  it("mutated requests never stop the listener", async () => {
    await using server = await serve();
    const peer = await server.peer();
    const good = Buffer.from("44020001aabbccddb361706902763102543109", "hex");
    const seed = randomBytes(20_000);
    for (let i = 0; i < 10_000; i++) {
      const bytes = Buffer.concat([good, Buffer.from([0xff, 0x7b, 0x7d])]);
      bytes[(seed[i] ?? 0) % bytes.length] = seed[i + 5_000] ?? 0;
      bytes[(seed[i + 9_000] ?? 0) % bytes.length] = seed[i + 10_000] ?? 0;
      peer.raw(bytes);
      if (i % 32 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const path of ["api/v1/constructor/__proto__", "api/v1/__proto__/telemetry", "__proto__", "hasOwnProperty"]) {
      peer.request("POST", path, { payload: Buffer.from('{"__proto__":{}}') });
    }
    const other = await server.peer();
    other.request("POST", "api/v1/T1/telemetry", { payload: Buffer.from("{}") });
    await vi.waitFor(() => expect(other.received[0]).toMatchObject({ code: "2.01" }));
    expect(server.errors).toEqual([]);
  });
});
