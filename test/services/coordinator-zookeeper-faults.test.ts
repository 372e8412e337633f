import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join as joinPath } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import type { Membership } from "@heddle/plugin-sdk";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Bench, ids, leaseMs, node, sessionMs, until, withClient, within } from "./coordinator-zookeeper-bench.ts";
import { leaderOf } from "./coordinator-zookeeper-ensemble.ts";
import { type Service, sharedService } from "./service.ts";

const lostAt = (membership: Membership) =>
  new Promise<number>((resolve) => {
    membership.lost.addEventListener("abort", () => resolve(performance.now()), { once: true });
  });

describeNeeding("zookeeper", sharedService("zookeeper")?.where, () => {
  const service = sharedService("zookeeper") as Service;
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench(service);
  });

  afterEach(async () => {
    for (const one of service.nodes) if (service.running) await service.thaw(one);
    await service.start();
    await bench[Symbol.asyncDispose]();
  });

  it("survives the death of the leader: no member is lost, views go on", async () => {
    const timeout = { sessionTimeoutMs: 8_000 };
    await using a = await bench.coordinator(timeout).join(node("a"), within());
    await using b = await bench.coordinator(timeout).join(node("b"), within());
    await until(a, (view) => ids(view) === "a,b");
    await service.kill(await leaderOf(service));
    await b.report(7, within());
    await until(a, (view) => view.members[1]?.drained === 7);
    await using _ = await bench.coordinator(timeout).join(node("c"), within());
    await until(a, (view) => ids(view) === "a,b,c");
    expect([a.lost.aborted, b.lost.aborted]).toEqual([false, false]);
    expect(a.validUntil).toBeGreaterThan(performance.now());
  });

  it("frozen servers: lost within the lease, and a new incarnation joins after the thaw", async () => {
    const coordinator = bench.coordinator();
    const first = await coordinator.join(node("a"), within());
    const lost = lostAt(first);
    const frozenAt = performance.now();
    for (const one of service.nodes) await service.freeze(one);
    const at = await lost;
    expect(at - frozenAt).toBeLessThan(leaseMs + 150);
    expect(first.validUntil).toBeLessThan(at);
    const rejoining = coordinator.join(node("a"), within());
    await first[Symbol.asyncDispose]();
    await pause(sessionMs);
    for (const one of service.nodes) await service.thaw(one);
    await using second = await rejoining;
    await until(second, (view) => ids(view) === "a");
    expect(second.incarnation).not.toBe(first.incarnation);
  });

  it("a follower that has lost its leader does not prolong the lease, though it answers reads", async () => {
    const leader = await leaderOf(service);
    const follower = service.nodes.find((one) => one !== leader) as number;
    const servers = service.endpoints[follower - 1] as string;
    const member = await bench.coordinator({ servers }).join(node("a"), within());
    const lost = lostAt(member);
    await withClient(servers, async (other) => {
      const frozenAt = performance.now();
      for (const one of service.nodes) if (one !== follower) await service.freeze(one);
      expect((await lost) - frozenAt).toBeLessThan(leaseMs + 150);
      const read = await new Promise((resolve) => other.a_exists(bench.chroot, false, resolve));
      expect(read).toBe(0);
    });
    await member[Symbol.asyncDispose]();
  });

  it.each(["stopped", "frozen"])("moves to another server when its own is %s, and misses nothing", async (how) => {
    const timeout = { sessionTimeoutMs: 6_000 };
    const leader = await leaderOf(service);
    const [own, other] = service.nodes.filter((one) => one !== leader) as [number, number];
    const servers = [own, other].map((one) => service.endpoints[one - 1]).join(",");
    await using a = await bench.coordinator({ ...timeout, servers }).join(node("a"), within());
    await (how === "stopped" ? service.kill(own) : service.freeze(own));
    const elsewhere = service.endpoints[leader - 1] as string;
    await using _ = await bench.coordinator({ ...timeout, servers: elsewhere }).join(node("b"), within());
    await until(a, (view) => ids(view) === "a,b", 4_000);
    await pause(3_000);
    expect(a.lost.aborted).toBe(false);
    expect(a.validUntil).toBeGreaterThan(performance.now());
  });

  it.each(["cut", "stall"] as const)("a %s shorter than the lease loses nothing and is caught up on", async (how) => {
    const { coordinator, heal, ...breaks } = await bench.proxied();
    await using a = await coordinator.join(node("a"), within());
    const before = await until(a, () => true);
    breaks[how]();
    await using b = await bench.coordinator().join(node("b"), within());
    await b.report(5, within());
    await pause(leaseMs / 3);
    heal();
    const after = await until(a, (view) => ids(view) === "a,b" && view.members[1]?.drained === 5, 3_000);
    expect(after.epoch).toBeGreaterThan(before.epoch);
    await a.report(after.epoch, within());
    await until(b, (view) => view.members[0]?.drained === after.epoch);
    expect(a.lost.aborted).toBe(false);
  });

  it("waits at join for an ensemble that is not there yet", async () => {
    await service.stop();
    const joining = bench.coordinator().join(node("a"), within(40_000));
    const refused = bench.coordinator().join(node("b"), within(1_500));
    await expect(refused).rejects.toMatchObject({ code: "coordinator.unreachable" });
    await expect(refused).rejects.toThrow(service.where);
    await service.start();
    await using a = await joining;
    await until(a, (view) => ids(view) === "a");
  });

  it("names the servers when nobody answers there or the name does not resolve", async () => {
    for (const servers of ["127.0.0.1:9", "no-such-host.invalid:2181"]) {
      const join = bench.coordinator({ servers }).join(node("a"), within(1_000));
      await expect(join).rejects.toMatchObject({ code: "coordinator.unreachable" });
      await expect(join).rejects.toThrow(servers);
    }
  });

  it("a stopped process finds its lease over when it goes on, before it does anything", async () => {
    const child = spawn(
      process.execPath,
      [
        ...["--conditions=source", "--import", "tsx", joinPath(import.meta.dirname, "coordinator-zookeeper-member.ts")],
        ...[service.where, bench.chroot, String(sessionMs)],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    try {
      const lines = linesOf(child);
      await lines.until("turn");
      await using a = await bench.coordinator().join(node("a"), within());
      await until(a, (view) => ids(view) === "a,child");
      child.kill("SIGSTOP");
      await pause(50);
      const seen = lines.all.length;
      await until(a, (view) => ids(view) === "a");
      child.kill("SIGCONT");
      await lines.until("lost");
      // What the pipe still held when it was stopped had been printed before; nothing is done after.
      expect(lines.all.slice(seen)).not.toContain("turn");
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });
});

function linesOf(child: ChildProcess) {
  const all: string[] = [];
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  reader.on("line", (line) => all.push(line));
  const wait = async (wanted: string) => {
    while (!all.includes(wanted)) {
      const over = once(child, "exit", within()).then(([code]) => Promise.reject(new Error(`ended with ${code}`)));
      await Promise.race([once(reader, "line"), over]);
    }
  };
  return { all, until: wait };
}
