import { silentLog, steppedWorld } from "@heddle/plugin-sdk/testing";
import { expect, it } from "vitest";
import { codes } from "./handle.ts";
import type { NativeClient, NativeOptions } from "./native.ts";
import { Session } from "./session.ts";

type Answer = (code: number, text: string, ...values: never[]) => void;

/** A driver whose answers the test gives; a request that is not answered waits. */
class FakeClient {
  state = 0;
  readonly timeout = 6_000;
  readonly client_id = "17";
  readonly client_password = "pw";
  closed = false;
  options: NativeOptions | undefined;
  readonly #listeners = new Map<string, (source: unknown, detail: unknown) => void>();
  readonly #sync: (client: FakeClient, done: Answer) => number;

  constructor(sync: (client: FakeClient, done: Answer) => number) {
    this.#sync = sync;
  }
  on(event: string, run: (source: unknown, detail: unknown) => void) {
    this.#listeners.set(event, run);
  }
  emit(event: string, detail?: unknown) {
    this.#listeners.get(event)?.(this, detail);
  }
  init(options: NativeOptions) {
    this.options = options;
    this.state = 3;
    this.emit("connect");
  }
  a_sync(_path: string, done: Answer) {
    return this.#sync(this, done);
  }
  set_servers() {
    this.state = 999;
    return 0;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.state = 0;
    this.emit("close", 0);
  }
}

function bench(sync: (client: FakeClient, done: Answer) => number) {
  const world = steppedWorld();
  const clients: FakeClient[] = [];
  const options = {
    world,
    log: silentLog,
    meter: { state() {}, reconnect() {}, heartbeat() {} },
    client: () => {
      const client = new FakeClient(sync);
      clients.push(client);
      return client as unknown as NativeClient;
    },
    servers: "one,two,three",
    addresses: async () => "1,2,3",
    timeoutMs: 6_000,
    digest: undefined,
  };
  const open = async () => {
    const opening = Session.open(options, new AbortController().signal);
    await world.pass(10);
    return opening;
  };
  return { world, clients, options, open };
}

const atOnce = (_: FakeClient, done: Answer) => {
  done(codes.ok, "ok");
  return codes.ok;
};

it("the lease is two thirds of the session from the moment the newest answered request was sent", async () => {
  const { world, open } = bench((_, done) => {
    world.timer(300, () => done(codes.ok, "ok"));
    return codes.ok;
  });
  const opening = open();
  await world.pass(600);
  const session = await opening;
  expect(session.validUntil).toBeGreaterThanOrEqual(4_000);
  expect(session.validUntil).toBeLessThan(4_010);
  await world.pass(10_000);
  expect(session.ended.aborted).toBe(false);
  expect(session.validUntil - world.elapsed()).toBeGreaterThan(4_000 - 1_000 - 300 - 10);
  await session.close();
});

it("silence ends it when the lease does, after other servers were tried with the same session", async () => {
  let answering = true;
  const { world, clients, open } = bench((_, done) => {
    if (answering) done(codes.ok, "ok");
    return codes.ok;
  });
  const session = await open();
  answering = false;
  const { validUntil } = session;
  await world.pass(validUntil - world.elapsed() - 1);
  expect(session.ended.aborted).toBe(false);
  await world.pass(2);
  expect(session.ended.reason).toMatchObject({ code: "coordinator.lost" });
  expect(clients.length).toBeGreaterThan(1);
  expect(clients[1]?.options).toMatchObject({ connect: "2,3,1", client_id: "17", client_password: "pw" });
  expect(clients[0]?.closed).toBe(true);
  await session.close();
  expect(clients.every(({ closed }) => closed)).toBe(true);
});

it("an answer that comes after the lease is over does not bring it back", async () => {
  const waiting: Answer[] = [];
  let holding = false;
  const { world, open } = bench((_, done) => {
    if (holding) waiting.push(done);
    else done(codes.ok, "ok");
    return codes.ok;
  });
  const session = await open();
  holding = true;
  const { validUntil } = session;
  await world.pass(validUntil - world.elapsed() + 1);
  for (const done of waiting) done(codes.ok, "ok");
  await world.pass(10);
  expect(session.ended.aborted).toBe(true);
  expect(session.validUntil).toBe(validUntil);
  await session.close();
});

it("a server that falls silent is left for another within the lease", async () => {
  let silent: FakeClient | undefined;
  const { world, clients, open } = bench((client, done) => (client === silent ? codes.ok : atOnce(client, done)));
  const session = await open();
  silent = clients[0];
  let changes = 0;
  session.onChange = () => {
    changes += 1;
  };
  await world.pass(20_000);
  expect(session.ended.aborted).toBe(false);
  expect(clients.length).toBe(2);
  expect(changes).toBeGreaterThan(0);
  await session.close();
});

it("a request that finds the connection broken closes the client before anything else runs", async () => {
  let breaking = false;
  const { world, clients, open } = bench((client, done) => {
    if (!breaking) return atOnce(client, done);
    breaking = false;
    client.state = 999;
    return codes.ok;
  });
  const session = await open();
  breaking = true;
  const [first] = clients;
  void session.run(new AbortController().signal, async (handle) => {
    const asked = handle.sync("/");
    expect(first?.closed).toBe(true);
    asked.catch(() => {});
  });
  await world.pass(100);
  expect(clients.length).toBe(2);
  expect(session.ended.aborted).toBe(false);
  await session.close();
});

it("a driver that throws is asked again, and one that cannot be closed is let go", async () => {
  let throwing = false;
  const { world, clients, open } = bench((client, done) => {
    if (!throwing) return atOnce(client, done);
    throwing = false;
    throw new Error("no such handle");
  });
  const session = await open();
  throwing = true;
  const asked = session.run(new AbortController().signal, (handle) => handle.sync("/"));
  await world.pass(200);
  await expect(asked).resolves.toBeUndefined();
  (clients[0] as FakeClient).close = () => {
    throw new Error("cannot close");
  };
  await expect(session.close()).resolves.toBeUndefined();
});

it("an expired session ends it", async () => {
  const { world, clients, open } = bench(atOnce);
  const session = await open();
  clients[0]?.emit("close", codes.sessionExpired);
  await world.pass(1);
  expect(session.ended.reason).toMatchObject({ code: "coordinator.lost" });
  await session.close();
});

it("opening ends with the servers' names when the signal aborts", async () => {
  const { world, clients, options } = bench(() => codes.ok);
  const stop = new AbortController();
  const opening = Session.open(options, stop.signal);
  await world.pass(30_000);
  stop.abort();
  await expect(opening).rejects.toMatchObject({ code: "coordinator.unreachable" });
  await expect(opening).rejects.toThrow("one,two,three");
  expect(clients.every(({ closed }) => closed)).toBe(true);
});
