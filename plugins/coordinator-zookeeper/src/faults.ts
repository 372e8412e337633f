import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  "coordinator.duplicate": {
    kind: "conflict",
    help: "A live member of the cluster has this id: give every node an id of its own.",
  },
  "coordinator.partitions": {
    kind: "conflict",
    help: "The cluster was founded with another `cluster.partitions`; it holds for the life of the data.",
  },
  "coordinator.left": { kind: "conflict", help: "The membership was given up; join again." },
  "coordinator.lost": {
    kind: "unavailable",
    help: "The lease ran out, the session expired or the member's node was removed; the node joins again by itself.",
  },
  "coordinator.unreachable": {
    kind: "unavailable",
    help: "No ZooKeeper server answered in time: check `servers`, the network, and whether the ensemble has a quorum.",
  },
  "coordinator.denied": {
    kind: "denied",
    help: "The folder in ZooKeeper belongs to another user or password: check `user` and `password`.",
  },
  "coordinator.native": {
    kind: "unavailable",
    help: "The native ZooKeeper client is not built for this machine; `heddle check` prints the commands.",
  },
  "coordinator.config": { kind: "invalid", help: "`user` and `password` are given together or not at all." },
  "coordinator.record": {
    kind: "internal",
    help: "What the folder in ZooKeeper holds was not written by this plugin; give the cluster another `chroot`.",
  },
  "coordinator.zookeeper": { kind: "internal", help: "ZooKeeper refused a request; the message has its code." },
} as const satisfies FaultSpecs;

/** A fault of this plugin, with the kind that its code declares. */
export function fault(code: keyof typeof faults, message: string, cause?: unknown): Fault {
  const { kind } = faults[code];
  const pause = kind === "unavailable" ? { retryAfterMs: 1_000 } : {};
  return new Fault(kind, code, `coordinator-zookeeper: ${message}`, {
    ...pause,
    ...(cause === undefined ? {} : { cause }),
  });
}
