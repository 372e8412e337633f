import type { DeviceIdentity, Downlinks, SessionInfo } from "@heddle/plugin-sdk";
import { type FakeSession, FakeSessions } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Answer, type Running, running, soon, until } from "../testing/stand-in.ts";

/** Keeps what sessions were opened as. */
class Polled extends FakeSessions {
  readonly infos: SessionInfo[] = [];
  onOpen: ((session: FakeSession) => void) | undefined;

  override async open(who: DeviceIdentity, about: SessionInfo, down: Downlinks): Promise<FakeSession> {
    this.infos.push(about);
    const session = await super.open(who, about, down);
    this.onOpen?.(session);
    return session;
  }
}

const call = (requestId: number) => ({ requestId, method: "setRelay", params: '{"on":true}', oneway: false });

describe("device-api 9.8, long polls", () => {
  let platform: Polled;
  let server: Running;
  beforeEach(async () => {
    platform = new Polled("T");
    server = await running(platform, { longestPoll: "2s" });
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const polling = async (path: string): Promise<{ answer: Promise<Answer>; session: FakeSession }> => {
    const before = platform.sessions.length;
    const answer = server.get(path);
    await until(() => (platform.sessions[before]?.subscribed.size ?? 0) > 0);
    return { answer, session: platform.sessions[before] as FakeSession };
  };

  it("HTTP-12 answers with the next update", async () => {
    const { answer, session } = await polling("/T/attributes/updates?timeout=5000");
    expect([...session.subscribed]).toEqual(["attributes"]);
    await session.push('{"interval":30}');
    expect(await answer).toMatchObject({ status: 200, body: '{"interval":30}', type: "application/json" });
    expect(session.closed.aborted).toBe(true);
  });

  it("HTTP-13 answers 408 without a body when nothing changed", async () => {
    const began = Date.now();
    const { status, body } = await server.get("/T/attributes/updates?timeout=150");
    expect({ status, body }).toEqual({ status: 408, body: "" });
    expect(Date.now() - began).toBeGreaterThanOrEqual(145);
    expect(platform.sessions[0]?.closed.aborted).toBe(true);
  });

  it("HTTP-14 answers with deleted keys", async () => {
    const { answer, session } = await polling("/T/attributes/updates");
    await session.push('{"deleted":["interval"]}');
    expect((await answer).body).toBe('{"deleted":["interval"]}');
  });

  it("HTTP-15 hands a call to the poll and takes the answer", async () => {
    const { answer, session } = await polling("/T/rpc?timeout=5000");
    await session.call(call(5));
    expect((await answer).body).toBe('{"id":5,"method":"setRelay","params":{"on":true}}');
    expect((await server.post("/T/rpc/5", '{"ok":true}')).status).toBe(200);
    expect(platform.taken).toEqual([{ kind: "rpcReply", text: '{"ok":true}' }]);
  });

  it("HTTP-16 is answered at once when a call waits, one per poll", async () => {
    const refused: unknown[] = [];
    platform.onOpen = (session) => {
      session.call(call(1)).catch((error) => refused.push(error));
      session.call(call(2)).catch((error) => refused.push(error));
    };
    const { body } = await server.get("/T/rpc?timeout=5000");
    expect(JSON.parse(body).id).toBe(1);
    expect(refused).toMatchObject([{ code: "session.gone", kind: "unavailable" }]);
  });

  it("HTTP-17 answers 408 when no call came, and takes none after that", async () => {
    expect((await server.get("/T/rpc?timeout=50")).status).toBe(408);
    await expect(platform.sessions[0]?.call(call(1))).rejects.toMatchObject({ code: "session.gone" });
  });

  it("takes no call after the client has left", async () => {
    const socket = server.raw();
    socket.write("GET /api/v1/T/rpc?timeout=60000 HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => platform.sessions[0]?.subscribed.has("rpc") === true);
    socket.destroy();
    await until(() => platform.sessions[0]?.closed.aborted === true);
    await expect(platform.sessions[0]?.call(call(1))).rejects.toMatchObject({ code: "session.gone" });
  });

  it("HTTP-31 answers 403 when the device is deleted, and keeps waiting when its credentials change", async () => {
    const deleted = await polling("/T/rpc?timeout=5000");
    deleted.session.end("deleted");
    expect(await deleted.answer).toMatchObject({ status: 403, body: "Device was deleted!" });
    const changed = await polling("/T/rpc?timeout=100");
    changed.session.end("credentials");
    expect((await changed.answer).status).toBe(408);
  });

  it("opens a session that says it is a poll", async () => {
    await server.get("/T/rpc?timeout=10");
    expect(platform.infos).toEqual([{ transport: "http", peer: "127.0.0.1", poll: true }]);
  });

  it("waits no longer than the longest poll, and refuses a time-out that is no number", async () => {
    const began = Date.now();
    expect((await server.get("/T/rpc?timeout=9000000000")).status).toBe(408);
    expect(Date.now() - began).toBeLessThan(4_000);
    expect((await server.get("/T/rpc?timeout=abc")).status).toBe(400);
  });

  it("answers 503 to polls when it stops, many at once without a warning", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on("warning", note);
    const answers = Array.from({ length: 30 }, () => server.get("/T/rpc?timeout=60000"));
    await until(() => platform.sessions.filter(({ subscribed }) => subscribed.size > 0).length === 30);
    server.api.stop();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(30).fill(503));
    await soon();
    process.off("warning", note);
    expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
  });

  it("serves again after it was stopped and started", async () => {
    server.api.stop();
    server.api.start();
    expect((await server.post("/T/telemetry", "{}")).status).toBe(200);
    expect((await server.get("/T/rpc?timeout=20")).status).toBe(408);
  });
});
