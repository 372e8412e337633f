import { describe, expect, it } from "vitest";
import { type ClusterCoordinator, Fault, type Member, type Membership, type View } from "../src/index.ts";
import { type CoordinatorKit, coordinatorCases, coordinatorSetup, describeClusterCoordinator } from "./coordinator.ts";
import { failingCases } from "./kit.ts";

/** What a variant does wrong. */
interface Flaws {
  readonly allowsDuplicates?: boolean;
  readonly mixesPartitionCounts?: boolean;
  readonly sameEpochForNewMembers?: boolean;
  readonly reportIsNewEpoch?: boolean;
  readonly keepsIncarnation?: boolean;
  readonly keepsDrained?: boolean;
  readonly queuesViews?: boolean;
  readonly staysAfterLeaving?: boolean;
  readonly losesAfterEviction?: boolean;
  readonly epochsPerNode?: boolean;
  readonly viewsNeverEnd?: boolean;
}

const leaseMs = 60;

/** A small shared cluster with leases, to prove the kit; `flaws` break it. */
class Cluster {
  readonly #flaws: Flaws;
  readonly #wakes = new Set<() => void>();
  readonly #members = new Map<string, Member>();
  history: View[] = [];
  #epoch = 0;
  #joins = 0;

  constructor(flaws: Flaws) {
    this.#flaws = flaws;
  }

  change(sameSet: boolean): void {
    if (this.#flaws.reportIsNewEpoch || !(sameSet || (this.#flaws.sameEpochForNewMembers && this.#epoch > 0)))
      this.#epoch += 1;
    this.history.push({ epoch: this.#epoch, members: [...this.#members.values()] });
    for (const wake of [...this.#wakes]) wake();
  }

  coordinator(index: number, cut: AbortSignal): ClusterCoordinator {
    return {
      join: async (self, { signal }) => {
        signal.throwIfAborted();
        if (this.#members.has(self.id) && !this.#flaws.allowsDuplicates) {
          throw new Fault("conflict", "coordinator.duplicate", `${self.id} is a member`);
        }
        const founded = [...this.#members.values()][0]?.partitions ?? self.partitions;
        if (founded !== self.partitions && !this.#flaws.mixesPartitionCounts) {
          throw new Fault("conflict", "coordinator.partitions", `${founded} partitions, not ${self.partitions}`);
        }
        const incarnation = this.#flaws.keepsIncarnation ? self.id : `${self.id}-${++this.#joins}`;
        const drained = this.#flaws.keepsDrained ? (this.history.at(-1)?.epoch ?? 0) : 0;
        this.#members.set(self.id, { ...self, incarnation, drained });
        this.change(false);
        return this.#membership({ index, id: self.id, incarnation, cut });
      },
    };
  }

  #membership(at: { index: number; id: string; incarnation: string; cut: AbortSignal }): Membership {
    const left = new AbortController();
    const lost = new AbortController();
    const remove = () => {
      if (this.#members.get(at.id)?.incarnation === at.incarnation) this.#members.delete(at.id);
      this.change(false);
    };
    at.cut.addEventListener("abort", () => {
      setTimeout(() => lost.abort(), this.#flaws.losesAfterEviction ? leaseMs * 2 : leaseMs / 2);
      setTimeout(remove, leaseMs);
    });
    return {
      incarnation: at.incarnation,
      lost: lost.signal,
      validUntil: performance.now() + leaseMs,
      views: (signal) =>
        this.#views(
          this.#flaws.viewsNeverEnd ? new AbortController().signal : AbortSignal.any([signal, left.signal]),
          at.index,
        ),
      report: async (drained) => {
        const member = this.#members.get(at.id);
        if (member !== undefined) this.#members.set(at.id, { ...member, drained });
        this.change(true);
      },
      [Symbol.asyncDispose]: async () => {
        if (left.signal.aborted) return;
        left.abort();
        if (this.#flaws.staysAfterLeaving) setTimeout(remove, 20_000).unref();
        else remove();
      },
    };
  }

  async *#views(ended: AbortSignal, index: number): AsyncIterable<View> {
    let at = this.history.length - 1;
    for (let seen = -1; !ended.aborted; ) {
      at = this.#flaws.queuesViews
        ? Math.min(seen < 0 ? at : seen + 1, this.history.length - 1)
        : this.history.length - 1;
      if (at > seen) {
        seen = at;
        const view = this.history[at] as View;
        yield this.#flaws.epochsPerNode ? { ...view, epoch: view.epoch + index } : view;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wakes.delete(wake);
          resolve();
        };
        this.#wakes.add(wake);
        ended.addEventListener("abort", wake, { once: true });
      });
    }
  }
}

const kitWith = (flaws: Flaws): CoordinatorKit => ({
  create: async () => {
    const cluster = new Cluster(flaws);
    const cuts = [0, 1, 2].map(() => new AbortController());
    return {
      coordinators: cuts.map(({ signal }, index) => cluster.coordinator(index, signal)),
      isolate: async (index) => cuts[index]?.abort(),
      leaseMs,
      [Symbol.asyncDispose]: async () => {},
    };
  },
  supports: { expiry: true, members: 3 },
});

describeClusterCoordinator("memory coordinator", kitWith({}));

const variants: readonly [what: string, flaws: Flaws, found: string][] = [
  [
    "lets an id join twice",
    { allowsDuplicates: true },
    "an id that is a member cannot join again, and the member is not disturbed",
  ],
  [
    "mixes partition counts",
    { mixesPartitionCounts: true },
    "a node with another number of partitions cannot join, and nobody is disturbed",
  ],
  [
    "keeps the epoch for another set",
    { sameEpochForNewMembers: true },
    "members see the same set under the same epoch, and epochs only grow",
  ],
  [
    "counts epochs per node",
    { epochsPerNode: true },
    "members see the same set under the same epoch, and epochs only grow",
  ],
  ["makes a new epoch of a report", { reportIsNewEpoch: true }, "a report is a new view of the same epoch"],
  [
    "keeps the incarnation",
    { keepsIncarnation: true },
    "a rejoin is a new incarnation in a later epoch and has drained nothing",
  ],
  [
    "remembers what an earlier life drained",
    { keepsDrained: true },
    "a rejoin is a new incarnation in a later epoch and has drained nothing",
  ],
  ["queues views", { queuesViews: true }, "a slow reader of views gets the newest"],
  ["keeps who has left", { staysAfterLeaving: true }, "leaving is a new epoch without the node"],
  [
    "evicts before it says so",
    { losesAfterEviction: true },
    "an isolated node is lost before the others see it evicted",
  ],
  ["never ends views", { viewsNeverEnd: true }, "views end soon after abort and when the node leaves"],
];

describe("the coordinator kit finds a coordinator that", () => {
  for (const [what, flaws, found] of variants) {
    it(what, async () => {
      const kit = kitWith(flaws);
      const suspects = coordinatorCases(kit).filter(({ name }) => name === found);
      expect(suspects).toHaveLength(1);
      expect(await failingCases(suspects, coordinatorSetup(kit), 700)).toEqual([found]);
    });
  }
});
