import { type ActorKind, Fault } from "@heddle/plugin-sdk";
import { beforeEach, describe, expect, it } from "vitest";
import { quietLog } from "../../testing/quiet-log.ts";
import { Simulation, SimWorld } from "../../testing/sim-world.ts";
import { ActorSystem, type Placement } from "./actors.ts";

interface Probe {
  work(n: number): unknown;
  hurry(n: number): unknown;
}

let sim: Simulation;
let world: SimWorld;
let serving: Set<number>;
let log: ReturnType<typeof quietLog>;
let placement: { mayAct: boolean };

function system(...kinds: ActorKind[]): ActorSystem {
  placement = Object.assign(
    {
      self: "a",
      epoch: 1,
      mayAct: true,
      ownerOf: () => "a",
      partitionOf: () => 0,
      serves: (p: number) => serving.has(p),
      whenServing: () => new Promise<void>(() => {}),
      whenChanged: () => new Promise<void>(() => {}),
    } satisfies Placement,
    {},
  );
  const remote = { tell: () => {}, ask: () => Promise.reject(new Fault("unavailable", "actor.unavailable", "alone")) };
  const made = new ActorSystem({ world, log, placement: placement as Placement, remote });
  made.open(kinds);
  return made;
}

const kind = (extra: Partial<ActorKind<Probe>> & Pick<ActorKind<Probe>, "activate">): ActorKind<Probe> => ({
  kind: "probe",
  placement: "partition",
  ...extra,
});
const never = new AbortController().signal;

beforeEach(() => {
  sim = new Simulation(1);
  world = new SimWorld(sim);
  serving = new Set([0]);
  log = quietLog();
});

describe("actors", () => {
  it("answer without a promise when idle and the handler needs none", async () => {
    const probe = kind({ activate: () => ({ work: (n) => n + 1, hurry: () => 0 }) });
    const ref = system(probe).ref(probe, "t/1");
    expect(await ref.ask("work", 1, { signal: never })).toBe(2);
    expect(ref.ask("work", 2, { signal: never })).toBe(3);
  });

  it("run one turn at a time, awaiting included, and R-01 urgent mail first", async () => {
    const seen: string[] = [];
    let release!: () => void;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const probe = kind({
      urgent: ["hurry"],
      activate: () => ({
        work: async (n) => {
          seen.push(`work ${n}`);
          if (n === 1) await gate;
        },
        hurry: (n) => void seen.push(`hurry ${n}`),
      }),
    });
    const ref = system(probe).ref(probe, "t/1");
    await ref.ask("hurry", 0, { signal: never });
    seen.length = 0;
    const all = [
      ref.ask("work", 1, { signal: never }),
      ref.ask("work", 2, { signal: never }),
      ref.ask("hurry", 3, { signal: never }),
    ];
    await sim.advance(1);
    expect(seen).toEqual(["work 1"]);
    release();
    await Promise.all(all);
    expect(seen).toEqual(["work 1", "hurry 3", "work 2"]);
  });

  it("R-03 keep mail that arrives before activation is done", async () => {
    const seen: number[] = [];
    const probe = kind({
      activate: async () => {
        await world.sleep(50, never);
        return { work: (n) => void seen.push(n), hurry: () => 0 };
      },
    });
    const ref = system(probe).ref(probe, "t/1");
    ref.tell("work", 1);
    ref.tell("work", 2);
    await sim.advance(100);
    expect(seen).toEqual([1, 2]);
  });

  it("refuse a tell and let an ask wait when the mailbox is full", async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const probe = kind({ mailbox: 2, activate: () => ({ work: () => gate, hurry: () => 0 }) });
    const actors = system(probe);
    const ref = actors.ref(probe, "t/1");
    await ref.ask("hurry", 0, { signal: never });
    for (let i = 0; i < 5; i++) ref.tell("work", i);
    expect(actors.counters.deadLetters).toBe(2);
    let answered = false;
    const asked = Promise.resolve(ref.ask("work", 9, { signal: never })).then(() => {
      answered = true;
    });
    await sim.advance(10);
    expect(answered).toBe(false);
    release();
    await asked;
  });

  it("R-04 R-06 retry a failed activation with back-off and go on after a failed turn", async () => {
    let tries = 0;
    const probe = kind({
      activate: () => {
        if (++tries < 3) throw new Error("not yet");
        return {
          work: (n) => {
            if (n === 1) throw new Fault("invalid", "probe.bad", "bad");
            return n;
          },
          hurry: () => 0,
        };
      },
    });
    const ref = system(probe).ref(probe, "t/1");
    const first = ref.ask("work", 1, { signal: never }) as Promise<unknown>;
    const outcome = first.catch((error: Fault) => error.code);
    await sim.advance(90);
    expect(tries).toBe(1);
    await sim.advance(1000);
    expect([tries, await outcome]).toEqual([3, "probe.bad"]);
    expect(await ref.ask("work", 2, { signal: never })).toBe(2);
  });

  it("park a key that fails five times and refuse its mail with the reason", async () => {
    const probe = kind({
      activate: () => {
        throw new Fault("unavailable", "probe.down", "down");
      },
    });
    const ref = system(probe).ref(probe, "t/1");
    const outcome = (ref.ask("work", 1, { signal: never }) as Promise<unknown>).catch((error: Fault) => error.code);
    await sim.advance(20_000);
    expect(await outcome).toBe("probe.down");
    expect(log.entries.filter(({ message }) => message === "actor failed")).toHaveLength(5);
  });

  it("tell a child why its parent is parked: a lasting reason must not look like one that passes", async () => {
    const parent = kind({
      kind: "parent",
      placement: "node",
      activate: () => {
        throw new Fault("missing", "probe.gone", "gone");
      },
    });
    const child = kind({ parent: "parent", activate: () => ({ work: () => 0, hurry: () => 0 }) });
    const actors = system(parent, child);
    const ask = async (of: ActorKind<Probe>, key: string) => {
      const asked = actors.ref(of, key).ask("work", 1, { signal: never }) as Promise<unknown>;
      const outcome = asked.catch((error: Fault) => error.code);
      await sim.advance(10_000);
      return outcome;
    };
    expect(await ask(parent, "t")).toBe("probe.gone");
    expect(await ask(child, "t/1")).toBe("probe.gone");
  });

  it("R-07 stop children before their parent", async () => {
    const ended: string[] = [];
    const life = (name: string) => ({ work: () => 0, hurry: () => 0, passivate: () => void ended.push(name) });
    const parent = kind({ kind: "parent", placement: "node", resident: true, activate: () => life("parent") });
    const child = kind({ parent: "parent", activate: ({ key }) => life(key) });
    const actors = system(parent, child);
    await actors.ref(child, "t/1").ask("work", 0, { signal: never });
    await actors.ref(child, "t/2").ask("work", 0, { signal: never });
    expect(actors.census().map(({ alive }) => alive)).toEqual([1, 2]);
    await actors.stop(parent, "t");
    expect(ended).toEqual(["t/1", "t/2", "parent"]);
    expect(actors.census().map(({ alive }) => alive)).toEqual([0, 0]);
  });

  it("passivate when idle, and never while a child lives", async () => {
    const ended: string[] = [];
    const life = (name: string) => ({
      work: () => 0,
      hurry: () => 0,
      passivate: (why: string) => void ended.push(`${name} ${why}`),
    });
    const parent = kind({ kind: "parent", placement: "node", idleMs: 1_000, activate: () => life("parent") });
    const child = kind({ parent: "parent", idleMs: 60_000, activate: () => life("child") });
    const actors = system(parent, child);
    await actors.ref(child, "t/1").ask("work", 0, { signal: never });
    await sim.advance(50_000);
    expect(ended).toEqual([]);
    await sim.advance(80_000);
    expect(ended).toEqual(["child idle", "parent idle"]);
  });

  it("do not wake for passive verbs", async () => {
    const probe = kind({ passive: ["work"], activate: () => ({ work: (n) => n, hurry: () => 0 }) });
    const actors = system(probe);
    const ref = actors.ref(probe, "t/1");
    ref.tell("work", 1);
    expect(await ref.ask("work", 1, { signal: never })).toBeUndefined();
    expect(actors.census()[0]?.alive).toBe(0);
    await ref.ask("hurry", 1, { signal: never });
    expect(await ref.ask("work", 1, { signal: never })).toBe(1);
  });

  it("run nothing once the node may not act", async () => {
    const probe = kind({ activate: () => ({ work: (n) => n, hurry: () => 0 }) });
    const ref = system(probe).ref(probe, "t/1");
    expect(await ref.ask("work", 1, { signal: never })).toBe(1);
    placement.mayAct = false;
    await expect(ref.ask("work", 1, { signal: never })).rejects.toMatchObject({ code: "actor.unavailable" });
  });

  it("give up an ask whose signal aborts", async () => {
    const probe = kind({ activate: () => ({ work: () => new Promise(() => {}), hurry: () => 0 }) });
    const ref = system(probe).ref(probe, "t/1");
    void ref.ask("work", 1, { signal: never });
    const abort = new AbortController();
    const asked = ref.ask("work", 2, { signal: abort.signal }) as Promise<unknown>;
    abort.abort(new Error("enough"));
    await expect(asked).rejects.toThrow("enough");
  });
});
