import { hostname } from "node:os";
import { definePlugin, Fault, Log, PeerLink, type Plugin, provide, Type } from "@heddle/plugin-sdk";
import type { Plan } from "../host/distribution.ts";
import type { Unit } from "../host/graph.ts";
import { type BackEnds, canCross } from "./back-end-server.ts";

const nodeId = "node";
/** Name of the unit that a worker adds where the manifest brings no peer link. */
const peersId = "worker-peers";

/** What runs in the parent: the back-ends that live in one process, and what they need. */
export function parentPlan(plan: Plan): Plan {
  const kept = new Set<string>();
  const keep = (unit: Unit) => {
    kept.add(unit.id);
    for (const other of plan.units) if (unit.after.includes(other.id) && !kept.has(other.id)) keep(other);
  };
  for (const unit of sharedUnits(plan)) keep(unit);
  return {
    settings: plan.settings,
    units: plan.units.filter(({ id }) => kept.has(id)),
    levels: plan.levels.map((level) => level.filter((id) => kept.has(id))).filter((level) => level.length > 0),
  };
}

/** Units of which the parent has the one instance that all workers use. */
export function sharedUnits(plan: Plan): readonly Unit[] {
  const behind = behindNode(plan);
  return plan.units.filter(({ id, plugin }) => plugin.oneProcess === true && !behind.has(id));
}

/** Units that need the node and of which the machine has one: the first worker runs them. */
function firstWorkersOwn(plan: Plan): readonly Unit[] {
  const behind = behindNode(plan);
  return plan.units.filter(({ id, plugin }) => plugin.oneProcess === true && behind.has(id));
}

function behindNode(plan: Plan): ReadonlySet<string> {
  const behind = new Set([nodeId]);
  for (const id of plan.levels.flat()) {
    const unit = plan.units.find((one) => one.id === id);
    if (unit?.after.some((other) => behind.has(other))) behind.add(id);
  }
  return behind;
}

/** Fault `workers.plugin` when this distribution cannot run in several processes. */
export function checkWorkers(plan: Plan): void {
  for (const { id, plugin } of sharedUnits(plan)) {
    const stuck = plugin.provides?.find((one) => !canCross(one));
    if (stuck !== undefined) throw cannot(id, plugin, `its ${stuck.id} cannot be reached from another process`);
  }
  for (const { id, plugin } of firstWorkersOwn(plan)) {
    const user = plan.units.find(({ after }) => after.includes(id));
    if (user !== undefined) throw cannot(id, plugin, `it needs the node, and ${user.id} needs it in every worker`);
  }
}

function cannot(id: string, plugin: Plugin, why: string): Fault {
  const text = `plugins.${id}: ${plugin.name} runs in one process of a machine, and ${why}; set node.workers to 1`;
  return new Fault("invalid", "workers.plugin", text);
}

export interface WorkerPlace {
  /** From 1. */
  readonly index: number;
  /** Undefined when the parent runs no back-ends. */
  readonly backEnds: BackEnds | undefined;
  /** Used where the manifest brings no peer link. */
  peers(log: Log): PeerLink;
}

/** What one worker runs: proxies in the place of what the parent has, an identity and a peer address of its own. */
export function workerPlan(plan: Plan, place: WorkerPlace): Plan {
  const { index, backEnds } = place;
  const shared = new Set(sharedUnits(plan).map(({ id }) => id));
  const elsewhere = new Set(index === 1 ? [] : firstWorkersOwn(plan).map(({ id }) => id));
  const hasPeers = plan.units.some(({ plugin }) => providesPeers(plugin));
  const units = plan.units
    .filter(({ id }) => !elsewhere.has(id))
    .map((unit) => {
      if (shared.has(unit.id)) return proxyUnit(unit, backEnds as BackEnds);
      if (providesPeers(unit.plugin)) return { ...unit, config: ownPeerConfig(unit.config, index) };
      return unit.id === nodeId && !hasPeers ? withPeers(unit) : unit;
    });
  const levels = plan.levels.map((level) => level.filter((id) => !elsewhere.has(id)));
  const { settings } = plan;
  const id = `${settings.node.id ?? `${hostname()}-${process.ppid}`}-${index}`;
  return {
    settings: { ...settings, node: { ...settings.node, id } },
    units: hasPeers ? units : [...units, peersUnit((log) => place.peers(log))],
    levels: hasPeers ? levels : [[peersId], ...levels],
  };
}

const providesPeers = (plugin: Plugin) => plugin.provides?.some(({ id }) => id === PeerLink.id) === true;

/** Peers talk to one worker, so each listens for itself: the next port, or a socket file of its own. */
function ownPeerConfig(config: unknown, index: number): unknown {
  const { port, socketPath, ...rest } = config as { readonly port?: unknown; readonly socketPath?: unknown };
  return Object.freeze({
    ...rest,
    ...(port === undefined ? {} : { port: typeof port === "number" && port > 0 ? port + index - 1 : port }),
    ...(socketPath === undefined ? {} : { socketPath: `${socketPath}-${index}` }),
  });
}

function withPeers(node: Unit): Unit {
  const needs = new Map(node.needs);
  const need = needs.get("peer");
  if (need !== undefined) needs.set("peer", { ...need, providers: [peersId] });
  return { ...node, needs, after: [...node.after, peersId] };
}

function proxyUnit({ id, plugin, file, version }: Unit, backEnds: BackEnds): Unit {
  const card = definePlugin({
    name: plugin.name,
    sdk: plugin.sdk,
    summary: plugin.summary,
    stability: plugin.stability,
    config: Type.Object({}),
    provides: plugin.provides ?? [],
    register({ container }) {
      for (const one of plugin.provides ?? []) provide(container, one, () => backEnds.value(id, one) as object);
    },
    ...(plugin.health === undefined ? {} : { health: () => backEnds.health(id) }),
  });
  return { id, plugin: card as unknown as Plugin, config: {}, file, version, needs: new Map(), after: [] };
}

function peersUnit(peers: (log: Log) => PeerLink): Unit {
  const card = definePlugin({
    name: "@heddle/worker-peers",
    sdk: "^1.0",
    summary: "Frames between the workers of one machine, over Unix sockets.",
    stability: "beta",
    config: Type.Object({}),
    requires: { log: Log },
    provides: [PeerLink],
    register: ({ container, deps }) => provide(container, PeerLink, () => peers(deps.log)),
  });
  const log = { capability: Log, optional: false, providers: [], fromKernel: true };
  return { id: peersId, plugin: card as unknown as Plugin, config: {}, needs: new Map([["log", log]]), after: [] };
}
