import type { Socket } from "node:net";
import { FakeSessions } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Running, running, soon, until } from "../testing/stand-in.ts";

const post = (body: string, head = "") =>
  `POST /api/v1/T/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n${head}\r\n${body}`;

function textOf(socket: Socket): () => string {
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  return () => text;
}
const count = (text: string, what: string) => text.split(what).length - 1;

describe("bodies of requests", () => {
  let platform: FakeSessions;
  let server: Running;
  beforeEach(async () => {
    platform = new FakeSessions("T");
    server = await running(platform, { maxBody: "10KB", pendingBytes: "36KB" });
  });
  afterEach(async () => {
    platform.resume();
    await server[Symbol.asyncDispose]();
  });

  it("are not acknowledged before they are durable", async () => {
    platform.stall();
    const socket = server.raw();
    const text = textOf(socket);
    socket.write(post('{"a":1}'));
    await until(() => platform.taken.length === 1);
    await soon(50);
    expect(text()).toBe("");
    platform.resume();
    await until(() => text().startsWith("HTTP/1.1 200 OK"));
    socket.destroy();
  });

  it("keep their order when 50 are sent without waiting for answers", async () => {
    await using wide = await running(platform);
    const socket = wide.raw();
    const text = textOf(socket);
    const documents = Array.from({ length: 50 }, (_, n) => `{"n":${n}}`);
    socket.write(documents.map((document) => post(document)).join(""));
    await until(() => count(text(), "HTTP/1.1 200") === 50);
    expect(platform.taken.map((each) => each.text)).toEqual(documents);
    socket.destroy();
  });

  it("over the limit get 413, whether announced or counted, and the server goes on", async () => {
    const over = Buffer.alloc(10_241, "x");
    const body = '"Payload size exceeds the limit of 10240 bytes"';
    expect(await server.post("/T/telemetry", over)).toMatchObject({ status: 413, body });
    expect(await server.post("/T/attributes", over, { "transfer-encoding": "chunked" })).toMatchObject({
      status: 413,
      body,
    });
    expect(platform.taken).toEqual([]);
    expect((await server.post("/T/telemetry", "{}")).status).toBe(200);
  });

  it("may come byte by byte", async () => {
    const socket = server.raw();
    const text = textOf(socket);
    for (const byte of post('{"slow":1}')) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => text().startsWith("HTTP/1.1 200"));
    expect(platform.taken).toEqual([{ kind: "telemetry", text: '{"slow":1}' }]);
    socket.destroy();
  });

  it("that are cut off are forgotten: nothing is taken, and the budget is free again", async () => {
    for (let n = 0; n < 20; n++) {
      const socket = server.raw();
      socket.write(post("x".repeat(9_000)).slice(0, -100));
      await soon(5);
      socket.destroy();
    }
    await soon();
    expect(server.statuses).toEqual([]);
    for (let n = 0; n < 3; n++)
      expect((await server.post("/T/telemetry", `{"a":"${"x".repeat(9_000)}"}`)).status).toBe(200);
    expect(platform.taken).toHaveLength(3);
  });

  it("beyond the budget get 503 while others wait to be durable, and are taken again after that", async () => {
    platform.stall();
    const body = `{"a":"${"x".repeat(9_000)}"}`;
    const waiting = [1, 2, 3].map(() => server.post("/T/telemetry", body));
    await until(() => platform.taken.length === 3);
    expect(await server.post("/T/telemetry", body)).toMatchObject({ status: 503, body: "" });
    expect((await server.post("/T/telemetry", body, { "transfer-encoding": "chunked" })).status).toBe(503);
    platform.resume();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await server.post("/T/telemetry", body)).status).toBe(200);
  });

  it("count with what a request costs: tiny ones are bounded too", async () => {
    platform.stall();
    const answers = Array.from({ length: 60 }, () => server.post("/T/telemetry", "{}"));
    await until(() => server.statuses.filter((status) => status === 503).length > 0);
    await soon();
    expect(platform.taken.length).toBeLessThanOrEqual(36);
    platform.resume();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(platform.taken.length);
    expect((await server.post("/T/telemetry", "{}")).status).toBe(200);
  });

  it("of strangers and broken documents give their room back", async () => {
    for (let n = 0; n < 60; n++) {
      await server.post("/NOPE/telemetry", "{}");
      await server.post("/T/telemetry", "broken");
      await server.post("/T/telemetry");
    }
    expect((await server.post("/T/telemetry", "{}")).status).toBe(200);
  });
});
