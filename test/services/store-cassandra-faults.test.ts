import { setTimeout as pause } from "node:timers/promises";
import { CassandraSession, type SessionParts, type Statement } from "@heddle/cassandra-driver";
import { dropKeyspaces, freshKeyspace, quietParts, testConfig } from "@heddle/cassandra-driver/testing";
import type { BatchFault, Collection, Log, Stored } from "@heddle/plugin-sdk";
import { describeNeeding, silentLog } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CassandraAttributes } from "../../plugins/store-cassandra/src/cassandra-attributes.ts";
import { CassandraEntities } from "../../plugins/store-cassandra/src/cassandra-entities.ts";
import { schema } from "../../plugins/store-cassandra/src/tables.ts";
import { type Service, sharedService } from "./service.ts";
import { TcpProxy } from "./tcp-proxy.ts";

const call = { signal: new AbortController().signal };
interface Doc {
  readonly id: string;
  readonly name?: string;
  readonly n?: number;
  readonly tenant?: string;
}
const spec = { name: "docs", id: "id", indexes: [["tenant", "n"]], unique: [["tenant", "name"]] } as const;

describeNeeding("cassandra", sharedService("cassandra")?.where, (where) => {
  const service = sharedService("cassandra") as Service;
  const keyspace = freshKeyspace("faults");
  const sessions: CassandraSession[] = [];
  const open = async (more: { requestTimeout?: number; at?: string; parts?: Partial<SessionParts> } = {}) => {
    const { requestTimeout = 10_000, at = where, parts = {} } = more;
    const config = { ...testConfig(at, keyspace), requestTimeout };
    const session = new CassandraSession(config, { ...quietParts(sessions.length + 1), ...parts }, schema);
    sessions.push(session);
    await session.start(call.signal);
    return session;
  };
  const docsOf = (session: CassandraSession, name: string): Collection<Doc> =>
    new CassandraEntities(session, 100_000).collection<Doc>({ ...spec, name });

  beforeAll(() => open());
  afterAll(async () => {
    for (const session of sessions) await session.stop();
    await dropKeyspaces(where, [keyspace]);
  });

  it("two nodes that count one document up lose nothing", async () => {
    const both = [docsOf(await open(), "count"), docsOf(await open(), "count")];
    await both[0]?.put([{ value: { id: "a", n: 0 }, expect: "absent" }], call);
    let conflicts = 0;
    const countUp = async (docs: Collection<Doc>) => {
      for (;;) {
        const [now] = await docs.get(["a"], call);
        if (now === undefined) throw new Error("the document is gone");
        try {
          return await docs.put([{ value: { id: "a", n: (now.value.n ?? 0) + 1 }, expect: now.version }], call);
        } catch (error) {
          expect((error as BatchFault).failures[0]?.fault.code).toBe("store.conflict");
          conflicts++;
        }
      }
    };
    const runners = both.map(async (docs) => {
      for (let at = 0; at < 100; at++) await countUp(docs);
    });
    await Promise.all(runners);
    const [end] = (await both[1]?.get(["a"], call)) ?? [];
    expect(end).toEqual({ value: { id: "a", n: 200 }, version: 201 });
    expect(conflicts).toBeGreaterThan(0);
    expect((await both[0]?.find({ where: { n: 200 }, limit: 5 }, call))?.total).toBe(1);
  });

  it("of fifty racing claims on two nodes exactly one wins", async () => {
    const both = [docsOf(await open(), "claims"), docsOf(await open(), "claims")];
    for (let round = 0; round < 3; round++) {
      const tries = Array.from({ length: 50 }, (_, at) =>
        both[at % 2]?.put(
          [{ value: { id: `${round}-${at}`, tenant: "t", name: `x${round}` }, expect: "absent" }],
          call,
        ),
      );
      const outcomes = await Promise.allSettled(tries);
      expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason.failures[0].fault.code).toBe("store.unique");
      }
      expect((await both[0]?.find({ where: { tenant: "t" }, limit: 1 }, call))?.total).toBe(round + 1);
    }
  });

  it("attributes written by two nodes at once have versions of their own, and the greatest stands", async () => {
    const both = [new CassandraAttributes(await open()), new CassandraAttributes(await open())];
    const entity = { entityType: "DEVICE", id: "both" };
    const versions = await Promise.all(
      Array.from({ length: 60 }, async (_, at) => {
        await pause(at * 3);
        return (both[at % 2] as CassandraAttributes).put(
          { entity, scope: "SERVER_SCOPE", values: { a: at }, ts: 1 },
          call,
        );
      }),
    );
    expect(new Set(versions).size).toBe(60);
    const [found] = (await both[0]?.get(entity, "SERVER_SCOPE", "all", call)) ?? [];
    expect(found?.value).toBe(versions.indexOf(Math.max(...versions)));
  });

  it("a writer that ends between any two steps leaves what the next one can work with", async () => {
    const session = await open();
    // Later by more than what counts as left behind.
    const world = { ...quietParts(77).world, now: () => Date.now() + 60_000 };
    const later = await open({ parts: { world } });
    for (const op of ["create", "change", "remove"] as const) {
      let steps = 0;
      for (let spent = true; spent; steps++) {
        const name = `${op}${steps}`;
        const docs = docsOf(later, name);
        const before: Doc = { id: "a", tenant: "t", name: "x", n: 1 };
        const after: Doc = { ...before, name: "y", n: 2 };
        if (op !== "create") await docsOf(session, name).put([{ value: before, expect: "absent" }], call);
        const dying = dyingAfter(session, steps);
        const writer = docsOf(dying.session, name);
        const write =
          op === "remove" ? writer.remove(["a"], call) : writer.put([{ value: after, expect: "any" }], call);
        const acknowledged = await write.then(
          () => true,
          () => false,
        );
        spent = dying.spent();
        const [a] = await docs.get(["a"], call);
        const wanted = op === "remove" ? undefined : after;
        if (acknowledged) expect(a?.value).toEqual(wanted);
        else expect([op === "create" ? undefined : before, wanted]).toContainEqual(a?.value);
        await checkAfterCrash(docs, a);
      }
      // Claims, marks, the document, entries and releases: fewer would mean that nothing was interrupted.
      expect(steps).toBeGreaterThan(8);
    }
  });

  it("an index that a newer version declares is filled", async () => {
    const session = await open();
    const old = new CassandraEntities(session, 1_000).collection<Doc>({ name: "grow", id: "id", indexes: [] });
    await old.put(
      [1, 2, 3].map((n) => ({ value: { id: `d${n}`, tenant: "t", n }, expect: "absent" as const })),
      call,
    );
    const grown = docsOf(await open(), "grow");
    expect((await grown.find({ where: { tenant: "t", n: 2 }, limit: 5 }, call)).items[0]?.value.id).toBe("d2");
    expect((await grown.find({ where: { tenant: "t" }, limit: 5 }, call)).total).toBe(3);
  });

  it("a query that would look at too much is refused, naming the limit", async () => {
    const docs = new CassandraEntities(await open(), 5).collection<Doc>({ ...spec, name: "broad" });
    const items = Array.from({ length: 6 }, (_, n) => ({ value: { id: `d${n}`, n }, expect: "absent" as const }));
    await docs.put(items, call);
    await expect(docs.find({ where: { name: "x" }, limit: 1 }, call)).rejects.toMatchObject({
      code: "store.query-too-broad",
      message: expect.stringContaining("more than 5 documents"),
    });
  });

  it("frozen: calls fail in time, and go on by themselves afterwards; nothing acknowledged is lost", async () => {
    const session = await open({ requestTimeout: 1_500 });
    const docs = docsOf(session, "frozen");
    const acknowledged = new Set<string>();
    const failures: { code: string; ms: number }[] = [];
    let stop = false;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let at = 0; !stop; at++) {
        const id = `${writer}-${at}`;
        const begun = performance.now();
        try {
          await docs.put([{ value: { id, tenant: "t", n: at }, expect: "absent" }], call);
          acknowledged.add(id);
        } catch (error) {
          failures.push({ code: (error as { code: string }).code, ms: performance.now() - begun });
        }
      }
    });
    await pause(500);
    await service.freeze(1);
    try {
      await pause(4_000);
    } finally {
      await service.thaw(1);
    }
    const before = acknowledged.size;
    const deadline = Date.now() + 20_000;
    while (acknowledged.size < before + 20 && Date.now() < deadline) await pause(50);
    stop = true;
    await Promise.all(writers);
    expect(failures.length).toBeGreaterThan(0);
    for (const { code } of failures) expect(["store.timeout", "store.unavailable"]).toContain(code);
    // A write is a few requests; each has its own limit.
    expect(Math.max(...failures.map(({ ms }) => ms))).toBeLessThan(2 * 1_500 + 2_000);
    expect(acknowledged.size).toBeGreaterThanOrEqual(before + 20);
    const stored = await docs.get([...acknowledged], call);
    expect(stored.filter((one) => one === undefined)).toEqual([]);
    const { total } = await docs.find({ where: { tenant: "t" }, limit: 1 }, call);
    expect(total).toBeGreaterThanOrEqual(acknowledged.size);
  });

  it("killed and started again: what was acknowledged is there, and the session goes on", async () => {
    const docs = docsOf(await open({ requestTimeout: 3_000 }), "killed");
    const acknowledged: string[] = [];
    let stop = false;
    const writer = async (name: number) => {
      for (let at = 0; !stop; at++) {
        const id = `${name}-${at}`;
        await docs.put([{ value: { id, tenant: "t" }, expect: "absent" }], call).then(
          () => acknowledged.push(id),
          () => pause(50),
        );
      }
    };
    const writers = [writer(1), writer(2), writer(3)];
    await pause(500);
    await service.kill(1);
    await service.start();
    const before = acknowledged.length;
    const deadline = Date.now() + 20_000;
    while (acknowledged.length < before + 10 && Date.now() < deadline) await pause(50);
    stop = true;
    await Promise.all(writers);
    expect(acknowledged.length).toBeGreaterThanOrEqual(before + 10);
    const stored = await docs.get(acknowledged, call);
    expect(stored.filter((one) => one === undefined)).toEqual([]);
  });

  it("cut off: store.unavailable that says where, health is down, and it comes back by itself", async () => {
    await using proxy = await TcpProxy.open(where);
    const session = await open({ requestTimeout: 2_000, at: proxy.address, parts: { translate: () => proxy.address } });
    const docs = docsOf(session, "cut");
    await docs.put([{ value: { id: "a" }, expect: "absent" }], call);
    expect(session.health()).toEqual({ state: "up" });
    proxy.cut();
    await pause(200);
    await expect(docs.get(["a"], call)).rejects.toMatchObject({
      code: "store.unavailable",
      kind: "unavailable",
      message: expect.stringMatching(/^read a document: .*contact points 127\.0\.0\.1:\d+; .*LOCAL_QUORUM/),
    });
    expect(session.health().state).toBe("down");
    proxy.heal();
    const deadline = Date.now() + 15_000;
    let found: unknown;
    while (found === undefined && Date.now() < deadline) {
      found = await docs.get(["a"], call).catch(() => pause(100));
    }
    expect(found).toEqual([{ value: { id: "a" }, version: 1 }]);
    await expect.poll(() => session.health().state, { timeout: 10_000 }).toBe("up");
  });

  it("not there at the start: it says so once, tries on, and gives up when it is told to", async () => {
    await using proxy = await TcpProxy.open(where);
    proxy.cut();
    const said: string[] = [];
    const log: Log = { ...silentLog, warn: (text) => said.push(text), info: (text) => said.push(text) };
    const parts = { ...quietParts(50), log, translate: () => proxy.address };
    const config = testConfig(proxy.address, keyspace);
    const given = new AbortController();
    const first = new CassandraSession(config, parts, schema).start(given.signal);
    setTimeout(() => given.abort(new Error("given up")), 5_000);
    await expect(first).rejects.toThrow("given up");
    expect(said).toEqual(["Cassandra is not reached; trying on"]);
    const second = new CassandraSession(config, parts, schema);
    sessions.push(second);
    setTimeout(() => proxy.heal(), 4_000);
    await second.start(call.signal);
    expect(said.slice(1)).toEqual(["Cassandra is not reached; trying on", "Cassandra is reached"]);
    expect(second.health().state).toBe("up");
  });

  it("a call beyond maxRequests waits, and its signal ends the wait", async () => {
    await using proxy = await TcpProxy.open(where);
    const parts = { ...quietParts(60), translate: () => proxy.address };
    const session = new CassandraSession(
      { ...testConfig(proxy.address, keyspace), maxRequests: 1, requestTimeout: 3_000 },
      parts,
      schema,
    );
    sessions.push(session);
    await session.start(call.signal);
    const docs = docsOf(session, "waits");
    await docs.get(["a"], call);
    proxy.stall();
    const holder = docs.get(["a"], call);
    const given = new AbortController();
    const waiting = docs.get(["b"], { signal: given.signal });
    await pause(100);
    given.abort(new Error("given up"));
    await expect(waiting).rejects.toThrow("given up");
    const next = docs.get(["c"], call);
    proxy.heal();
    expect(await holder).toEqual([undefined]);
    expect(await next).toEqual([undefined]);
  });
});

/** Everything that can be asked about the document `a` agrees with it, and its values are free or taken as it says. */
async function checkAfterCrash(docs: Collection<Doc>, a: Stored<Doc> | undefined): Promise<void> {
  const totals = async (where: Record<string, string | number>) => (await docs.find({ where, limit: 9 }, call)).total;
  // The second look meets what the first has tidied up.
  for (let look = 0; look < 2; look++) {
    const there = a === undefined ? 0 : 1;
    expect(await totals({ tenant: "t" })).toBe(there);
    expect(await totals({})).toBe(there);
    for (const n of [1, 2]) expect(await totals({ tenant: "t", n })).toBe(a?.value.n === n ? 1 : 0);
    for (const name of ["x", "y"]) expect(await totals({ tenant: "t", name })).toBe(a?.value.name === name ? 1 : 0);
  }
  for (const name of ["x", "y"]) {
    const claim = docs.put([{ value: { id: `new-${name}`, tenant: "t", name }, expect: "absent" }], call).then(
      () => "taken",
      (fault: BatchFault) => fault.failures[0]?.fault.code,
    );
    expect(await claim).toBe(a?.value.name === name ? "store.unique" : "taken");
  }
  const value = { id: "a", tenant: "t", name: "z", n: 3 };
  const [next] = await docs.put([{ value, expect: a?.version ?? "absent" }], call);
  expect(next?.version).toBe((a?.version ?? 0) + 1);
  expect(await totals({ tenant: "t", n: 3 })).toBe(1);
  expect(await totals({ tenant: "t" })).toBe(a === undefined ? 3 : 2);
}

/** The session of a process that ends after so many requests: none is sent any more. */
function dyingAfter(session: CassandraSession, requests: number) {
  let left = requests;
  const execute = (statement: Statement, ...rest: [readonly unknown[], { readonly signal: AbortSignal }]) =>
    left-- > 0 ? session.execute(statement, ...rest) : Promise.reject(new Error("the process has ended"));
  const dying = { config: session.config, parts: session.parts, clock: session.clock, execute };
  return { session: dying as unknown as CassandraSession, spent: () => left < 0 };
}
