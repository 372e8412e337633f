import { afterEach, describe, expect, it } from "vitest";
import { Bench, device, latest, soon, until } from "../testing/stand-in.ts";

const parseError = {
  subscriptionId: 1,
  errorCode: 2,
  errorMsg: "Failed to parse the payload",
  data: null,
  latestValues: {},
};
let bench: Bench;
const started = async (config: Record<string, unknown> = {}) => {
  bench = await new Bench(config).start();
  return bench;
};
afterEach(() => bench[Symbol.asyncDispose]());

describe("signing in", () => {
  it("W-AUTH-01 with the first message has no answer; a later command has one", async () => {
    const client = (await started()).client();
    await client.opened();
    client.send({ authCmd: { cmdId: 0, type: "AUTH", token: "TA" } });
    expect(await client.silent()).toBe(true);
    expect((await client.ask(latest(1))).subscriptionId).toBe(1);
  });

  it("W-AUTH-02 with ?token= needs no message, and one that comes is ignored", async () => {
    const client = await (await started()).signedIn();
    expect((await client.ask(latest(1))).subscriptionId).toBe(1);
    client.send({ authCmd: { token: "garbage" }, cmds: [latest(2)] });
    expect((await client.next()).subscriptionId).toBe(2);
  });

  it("W-AUTH-03 late closes with 1008", async () => {
    const client = (await started({ authTimeout: "50ms" })).client();
    expect(await client.closed).toEqual({ code: 1008, reason: "" });
  });

  it("W-AUTH-04 with another first message closes with 1008, on every path", async () => {
    await started();
    for (const [path, message] of [
      ["/api/ws", { cmds: [latest(1)] }],
      ["/api/ws", {}],
      ["/api/ws/plugins/telemetry", { tsSubCmds: [] }],
    ] as const) {
      const client = bench.client(path);
      await client.opened();
      client.send(message);
      expect(await client.closed).toEqual({ code: 1008, reason: "Auth cmd is missing" });
    }
  });

  it("W-AUTH-05 with a bad token closes with 1007", async () => {
    await started();
    for (const [token, reason] of [
      ["garbage", "Invalid JWT token: "],
      ["expired", "JWT Token expired"],
      ["", "Token is invalid"],
    ]) {
      const client = bench.client();
      await client.opened();
      client.send({ authCmd: { cmdId: 0, token } });
      expect(await client.closed).toEqual({ code: 1007, reason });
    }
  });

  it("W-AUTH-06 W-AUTH-07 with an API key, a good and a bad one", async () => {
    const good = (await started()).client();
    await good.opened();
    good.send({ authCmd: { cmdId: 0, apiKey: "key" }, cmds: [latest(4)] });
    expect((await good.next()).subscriptionId).toBe(4);
    const bad = bench.client();
    await bad.opened();
    bad.send({ authCmd: { cmdId: 0, apiKey: "invalid-key" } });
    expect((await bad.closed).code).toBe(1007);
  });

  it("W-AUTH-08 on an unknown path closes with 1007", async () => {
    const client = await (await started()).signedIn("TA", "/api/ws/plugins/foo");
    expect(await client.closed).toEqual({ code: 1007, reason: "Unknown session type" });
  });

  it("W-AUTH-09 runs the commands of the same message", async () => {
    const client = (await started()).client();
    await client.opened();
    client.send({ authCmd: { token: "TA" }, cmds: [latest(7)] });
    expect((await client.next()).subscriptionId).toBe(7);
  });

  it("W-AUTH-11 with an expired or bad query token closes with 1011", async () => {
    await started();
    expect(await bench.client("/api/ws?token=expired").closed).toEqual({ code: 1011, reason: "JWT Token expired" });
    expect(await bench.client("/api/ws?token=x").closed).toEqual({ code: 1011, reason: "Invalid JWT token: " });
  });

  it("W-AUTH-12 with what is not JSON closes with 1007", async () => {
    const client = (await started()).client();
    await client.opened();
    client.send("hello");
    const { code, reason } = await client.closed;
    expect(code).toBe(1007);
    expect(reason).toMatch(/^The given string value cannot be transformed to Json object: /);
  });

  it("that ends closes the connection and its subscriptions", async () => {
    const client = await (await started()).signedIn();
    await client.ask(latest(1));
    bench.identity.endAll();
    expect((await client.closed).code).toBe(1008);
    await until(() => bench.feeds.open.size === 0);
  });
});

describe("the protocol", () => {
  it("W-PROTO-01 W-PROTO-05 answers what it cannot read with an error and stays", async () => {
    const client = await (await started()).signedIn();
    const messages = ["hello", { cmds: [{ type: "NOPE", cmdId: 5 }] }, { cmds: [{ cmdId: 5 }] }, { unknown: 1 }, "[]"];
    for (const message of messages) {
      client.send(message);
      expect(await client.next()).toEqual(parseError);
    }
    client.socket.send(Buffer.from("{}"), { binary: true });
    expect(await client.next()).toEqual(parseError);
    expect((await client.ask(latest(1))).errorCode).toBe(0);
  });

  it("W-PROTO-02 closes with 1009 for a frame above 32 KiB", async () => {
    const client = await (await started()).signedIn();
    client.send(`"${"x".repeat(40_000)}"`);
    expect((await client.closed).code).toBe(1009);
  });

  it("W-PROTO-03 pings, and keeps who answers", async () => {
    const client = await (await started({ pingTimeout: "90ms" })).signedIn();
    let pings = 0;
    client.socket.on("ping", () => {
      pings++;
    });
    await soon(400);
    expect(pings).toBeGreaterThan(4);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
  });

  it("W-PROTO-04 closes with 4500 who answers no ping", async () => {
    const client = (await started({ pingTimeout: "90ms" })).client("/api/ws?token=TA", { autoPong: false });
    const { code, reason } = await client.closed;
    expect(code).toBe(4500);
    expect(reason).toMatch(/unreliable/);
  });

  it("W-PROTO-06 refuses a negative id", async () => {
    const client = await (await started()).signedIn();
    expect(await client.ask(latest(-1))).toMatchObject({
      subscriptionId: -1,
      errorCode: 2,
      errorMsg: "Cmd id is negative value!",
    });
  });

  it("W-PROTO-07 ignores an empty object", async () => {
    const client = await (await started()).signedIn();
    client.send({});
    expect(await client.silent()).toBe(true);
    expect((await client.ask(latest(1))).errorCode).toBe(0);
  });

  it("closes with 1008 beyond the subscriptions of a connection", async () => {
    const client = await (await started({ subscriptions: 3 })).signedIn();
    client.send({ cmds: [1, 2, 3, 4].map((id) => latest(id)) });
    expect(await client.closed).toEqual({ code: 1008, reason: "Max regular user subscriptions limit reached" });
    await until(() => bench.feeds.open.size === 0);
  });

  it("says goodbye with 1001 when the server stops, and serves again when it starts", async () => {
    const client = await (await started()).signedIn();
    await client.ask(latest(1));
    await bench.endpoint.stop();
    expect((await client.closed).code).toBe(1001);
    bench.endpoint.start();
    expect((await (await bench.signedIn()).ask(latest(1))).errorCode).toBe(0);
    expect(bench.connections.at(-1)).toBe(1);
  });
});

describe("a client that does not read", () => {
  it("is closed at the bound, holds no more memory, and takes nobody with it", async () => {
    await started({ pending: 50 });
    const slow = await bench.signedIn();
    const quick = await bench.signedIn();
    await Promise.all([slow.ask(latest(1, "big")), quick.ask(latest(1))]);
    slow.socket.pause();
    const big = "x".repeat(200_000);
    for (let n = 1; n <= 2_000; n++) {
      bench.feeds.tell({ entity: device, changes: [{ key: "big", ts: n, value: big }] });
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    // What the system took and what waits: 60 MB at the very most, where all of it would be 400 MB.
    expect(bench.sent).toBeLessThan(300);
    await until(() => bench.feeds.open.size === 1);
    await bench.save(1, { t: 1 });
    expect((await quick.next()).data.t).toEqual([[1, "1"]]);
    slow.socket.resume();
    expect(await slow.closed).toEqual({ code: 1008, reason: "Max pending updates limit reached!" });
    expect(slow.got.length).toBeLessThan(1_000);
  });

  it("is cut off when it does not even take the goodbye", async () => {
    await started({ pending: 20 });
    const slow = await bench.signedIn();
    await slow.ask(latest(1, "big"));
    slow.socket.pause();
    const big = "x".repeat(200_000);
    for (let n = 1; n <= 400; n++) bench.feeds.tell({ entity: device, changes: [{ key: "big", ts: n, value: big }] });
    await until(() => bench.connections.at(-1) === 0, 4_000);
    await bench.endpoint.stop();
  });
});
