import { type Capability, capability, PeerLink, QueueBackend } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { loadDistribution, type Plan } from "../host/distribution.ts";
import { folder, packageFiles } from "../host/test-distribution.ts";
import { nodeBuiltIns } from "../node.ts";
import type { BackEnds } from "./back-end-server.ts";
import { checkWorkers, parentPlan, workerPlan } from "./plan.ts";

const thing = capability<object>("thing@1");
const text = (one: Capability<any, any>) => `capability("${one.id}")`;
const provides = (...all: readonly Capability<any, any>[]) => `provides: [${all.map(text).join()}],`;
const one = "oneProcess: true,";

/** A distribution of these cards, by role. */
async function planOf(cards: Readonly<Record<string, string>>, settings = ""): Promise<Plan> {
  const files = Object.entries(cards).flatMap(([role, body]) => Object.entries(packageFiles(`@acme/${role}`, body)));
  const roles = Object.keys(cards).map((role) => `  ${role}: { use: "@acme/${role}" }\n`);
  using temp = folder({
    ...Object.fromEntries(files),
    "manifest.yaml": `name: n\n${settings}plugins:\n${roles.join("")}`,
  });
  const loaded = await loadDistribution({
    manifest: "manifest.yaml",
    cwd: temp.dir,
    env: {},
    builtIns: nodeBuiltIns(),
  });
  expect(loaded.problems).toEqual([]);
  return loaded.plan as Plan;
}

const coordinator = { coordinator: `${one} ${'provides: [capability("cluster-coordinator@1")],'}` };
const queue = { queue: `${one} ${provides(QueueBackend)}` };
const needsNode = 'requires: { lanes: capability("lanes@1") },';
const ids = (plan: Plan) => plan.units.map(({ id }) => id);
const backEnds = { value: () => ({}), health: async () => ({ state: "up" }) } as unknown as BackEnds;
const place = (index: number) => ({
  index,
  backEnds,
  peers: () => {
    throw new Error("not made before it is used");
  },
});
const unit = (plan: Plan, id: string) => plan.units.find((candidate) => candidate.id === id);

describe("what runs where", () => {
  it("the parent runs the back-ends of one process and what they need, and nothing else", async () => {
    const plan = await planOf({
      ...coordinator,
      queue: `${one} ${provides(QueueBackend)} requires: { disk: ${text(thing)} },`,
      disk: provides(thing),
      cache: "",
      domain: needsNode,
    });
    expect(ids(parentPlan(plan)).sort()).toEqual(["coordinator", "disk", "queue"]);
    expect(parentPlan(plan).levels.flat().indexOf("disk")).toBeLessThan(
      parentPlan(plan).levels.flat().indexOf("queue"),
    );
  });

  it("a worker has proxies in their place, a name of its own and a link to the others", async () => {
    const plan = await planOf({ ...coordinator, ...queue, cache: "", domain: needsNode }, "node: { id: here }\n");
    const mine = workerPlan(plan, place(2));
    expect(ids(mine).sort()).toEqual(["cache", "coordinator", "domain", "node", "queue", "worker-peers"]);
    expect(unit(mine, "queue")?.plugin).not.toBe(unit(plan, "queue")?.plugin);
    expect(unit(mine, "queue")?.plugin.provides?.map(({ id }) => id)).toEqual([QueueBackend.id]);
    expect(unit(mine, "cache")).toBe(unit(plan, "cache"));
    expect(unit(mine, "node")?.needs.get("peer")?.providers).toEqual(["worker-peers"]);
    expect(mine.settings.node.id).toBe("here-2");
    expect(plan.settings.node.id).toBe("here");
  });

  it("what needs the node and is one per machine runs in the first worker", async () => {
    const plan = await planOf({ ...coordinator, ...queue, udp: `${one} ${needsNode}` });
    expect(ids(workerPlan(plan, place(1)))).toContain("udp");
    expect(ids(workerPlan(plan, place(2)))).not.toContain("udp");
    expect(workerPlan(plan, place(2)).levels.flat()).not.toContain("udp");
    expect(ids(parentPlan(plan))).not.toContain("udp");
  });

  it("back-ends elsewhere need no parent, and each worker's peer link listens for itself", async () => {
    const fields = (name: string, type: string, value: string) =>
      `config: { type: "object", properties: { ${name}: { type: "${type}", default: ${value} } } }, ${provides(PeerLink)}`;
    const remote = { coordinator: coordinator.coordinator.replace(one, ""), queue: provides(QueueBackend) };
    const ports = await planOf({ ...remote, peer: fields("port", "integer", "7400") });
    expect(parentPlan(ports).units).toEqual([]);
    expect(unit(workerPlan(ports, place(1)), "peer")?.config).toEqual({ port: 7400 });
    expect(unit(workerPlan(ports, place(3)), "peer")?.config).toEqual({ port: 7402 });
    expect(ids(workerPlan(ports, place(3)))).not.toContain("worker-peers");
    const free = await planOf({ ...remote, peer: fields("port", "integer", "0") });
    expect(unit(workerPlan(free, place(3)), "peer")?.config).toEqual({ port: 0 });
    const sockets = await planOf({ ...remote, peer: fields("socketPath", "string", '"/run/peer"') });
    expect(unit(workerPlan(sockets, place(2)), "peer")?.config).toEqual({ socketPath: "/run/peer-2" });
  });

  it("a distribution that cannot be spread says which plugin, and why", async () => {
    const stuck = await planOf({
      ...coordinator,
      ...queue,
      odd: `${one} ${provides(thing)}`,
      user: `requires: { thing: ${text(thing)} },`,
    });
    expect(() => checkWorkers(stuck)).toThrow(/plugins\.odd: @acme\/odd .*thing@1 cannot be reached/);
    const behind = await planOf({
      ...coordinator,
      ...queue,
      odd: `${one} ${needsNode} ${provides(thing)}`,
      user: `requires: { thing: ${text(thing)} },`,
    });
    expect(() => checkWorkers(behind)).toThrow(/plugins\.odd: .*user needs it in every worker/);
    const fine = await planOf({ ...coordinator, ...queue });
    expect(() => checkWorkers(fine)).not.toThrow();
  });
});
