import { setTimeout as pause } from "node:timers/promises";
import { type Membership, Secret, type View } from "@heddle/plugin-sdk";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { AclEntry } from "../../plugins/coordinator-zookeeper/src/native.ts";
import type { ZookeeperCoordinator } from "../../plugins/coordinator-zookeeper/src/zookeeper-coordinator.ts";
import { Bench, ids, incarnations, node, sessionMs, until, withClient, within } from "./coordinator-zookeeper-bench.ts";
import { type Service, sharedService } from "./service.ts";

const login = (password: string) => ({ login: { user: "heddle", password: new Secret(password) } });

describeNeeding("zookeeper", sharedService("zookeeper")?.where, () => {
  const service = sharedService("zookeeper") as Service;
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench(service);
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it("a cluster keeps its number of partitions when nobody is left", async () => {
    const first = await bench.coordinator().join(node("a"), within());
    await first[Symbol.asyncDispose]();
    const other = bench.coordinator().join({ ...node("b"), partitions: 32 }, within());
    await expect(other).rejects.toMatchObject({ code: "coordinator.partitions" });
    await expect(other).rejects.toThrow(/32.*16/);
  });

  it("an id is free as soon as its member has left", async () => {
    const first = await bench.coordinator().join(node("a"), within());
    await first[Symbol.asyncDispose]();
    const since = performance.now();
    await using _ = await bench.coordinator().join(node("a"), within());
    expect(performance.now() - since).toBeLessThan(1_000);
  });

  it("an id of a member that was cut off is free once its session has expired, and join waits for that", async () => {
    const { coordinator, cut } = await bench.proxied();
    const first = await coordinator.join(node("a"), within());
    cut();
    const since = performance.now();
    await using second = await bench.coordinator().join(node("a"), within());
    const ms = performance.now() - since;
    expect(first.lost.aborted).toBe(true);
    expect(ms).toBeGreaterThan(sessionMs * 0.6);
    expect(ms).toBeLessThan(sessionMs * 1.5);
    await until(second, (view) => ids(view) === "a");
    await first[Symbol.asyncDispose]();
  });

  it("two that join at once with one id: one is in, the other is told", async () => {
    const both = await Promise.allSettled([1, 2].map(() => bench.coordinator().join(node("a"), within())));
    const refused = both.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(refused).toMatchObject([{ code: "coordinator.duplicate" }]);
    for (const one of both) if (one.status === "fulfilled") await one.value[Symbol.asyncDispose]();
  });

  it("a member whose node somebody removed is lost", async () => {
    const member = await bench.coordinator().join(node("a"), within());
    await until(member, () => true);
    const lost = new Promise((resolve) => member.lost.addEventListener("abort", resolve));
    await withClient(service.where, async (client) => {
      await new Promise((resolve) => client.a_delete_(`${bench.chroot}/members/a`, -1, resolve));
    });
    await lost;
    expect(member.lost.reason).toMatchObject({ code: "coordinator.lost" });
    expect(member.validUntil).toBeLessThan(performance.now());
    await member[Symbol.asyncDispose]();
  });

  it("with user and password nobody else reads or writes, and the fault tells who was refused", async () => {
    await using _ = await bench.coordinator(login("secret")).join(node("a"), within());
    for (const [options, who] of [
      [login("wrong"), "as user heddle"],
      [{}, "without user and password"],
    ] as const) {
      const refused = bench.coordinator(options).join(node("b"), within());
      await expect(refused).rejects.toMatchObject({ code: "coordinator.denied" });
      await expect(refused).rejects.toThrow(who);
      await expect(refused).rejects.not.toThrow("wrong");
    }
    await withClient(service.where, async (client) => {
      client.add_auth("digest", "heddle:secret", () => {});
      for (const path of ["", "/cluster", "/members", "/members/a"]) {
        const acl = await new Promise<readonly AclEntry[] | null>((resolve) => {
          client.a_get_acl(`${bench.chroot}${path}`, (_code, _text, found) => resolve(found));
        });
        expect(acl).toMatchObject([{ perms: 31, scheme: "digest" }]);
      }
    });
    await using b = await bench.coordinator(login("secret")).join(node("b"), within());
    await until(b, (view) => ids(view) === "a,b");
  });

  it("an open folder is closed by the first node that comes with user and password", async () => {
    const open = await bench.coordinator().join(node("a"), within());
    await open[Symbol.asyncDispose]();
    await using _ = await bench.coordinator(login("secret")).join(node("a"), within());
    const refused = bench.coordinator().join(node("b"), within());
    await expect(refused).rejects.toMatchObject({ code: "coordinator.denied" });
  });

  it("members that come and go see one set under one epoch, and epochs that grow", async () => {
    const seen: View[][] = [];
    const stop = performance.now() + 6_000;
    const live = async (coordinator: ZookeeperCoordinator, id: string) => {
      while (performance.now() < stop) {
        const member = await coordinator.join(node(id), within());
        const reading = recorded(member);
        await pause(Math.random() * 200);
        const { epoch } = await until(member, () => true);
        await member.report(epoch, within());
        await pause(Math.random() * 200);
        await member[Symbol.asyncDispose]();
        seen.push(await reading);
      }
    };
    await using witness = await bench.coordinator().join(node("witness"), within(5_000));
    const witnessed = recorded(witness);
    await Promise.all(["a", "b", "c", "d", "e", "f"].map((id) => live(bench.coordinator(), id)));
    await until(witness, (view) => ids(view) === "witness");
    await witness[Symbol.asyncDispose]();
    seen.push(await witnessed);

    const sets = new Map<number, string>();
    for (const views of seen) {
      for (const [i, view] of views.entries()) {
        const before = views[i - 1]?.epoch ?? 0;
        expect(view.epoch).toBeGreaterThanOrEqual(before);
        expect(incarnations(view)).toBe(sets.get(view.epoch) ?? incarnations(view));
        sets.set(view.epoch, incarnations(view));
      }
    }
    const shared = [...sets.keys()].filter(
      (epoch) => seen.filter((all) => all.some((v) => v.epoch === epoch)).length > 1,
    );
    expect(shared.length).toBeGreaterThan(30);
  });
});

/** All views that a member gets until it leaves. */
async function recorded(member: Membership): Promise<View[]> {
  const views: View[] = [];
  for await (const view of member.views(within(60_000).signal)) views.push(view);
  return views;
}
