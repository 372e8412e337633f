import assert from "node:assert/strict";
import type { ClusterCoordinator, Member, Membership, View } from "../src/index.ts";
import { describeCases, type KitCase, type KitSetup } from "./kit.ts";
import { refused } from "./queue-backend-context.ts";

export interface TestedCluster extends AsyncDisposable {
  /** One per node; they share one cluster that nobody has joined. */
  readonly coordinators: readonly ClusterCoordinator[];
  /** Cuts a node off from the cluster for good; needed when `supports.expiry`. */
  isolate?(node: number): Promise<void>;
  /** The longest time until an isolated node is evicted, ms. */
  readonly leaseMs?: number;
}

export interface CoordinatorKit {
  create(): Promise<TestedCluster>;
  readonly supports: {
    /** Off: a member is never lost. */
    readonly expiry: boolean;
    /** How many members the cluster may have; the cases use at most 3. */
    readonly members: number;
  };
}

type Context = TestedCluster;

/** The contract of `ClusterCoordinator`. */
export function describeClusterCoordinator(name: string, kit: CoordinatorKit): void {
  describeCases(`${name} as ClusterCoordinator`, coordinatorCases(kit), coordinatorSetup(kit));
}

export function coordinatorCases({ supports }: CoordinatorKit): KitCase<Context>[] {
  return [
    ...aloneCases,
    ...(supports.members > 1 ? togetherCases : []),
    ...(supports.expiry ? expiryCases : neverLostCases),
  ];
}

export const coordinatorSetup =
  (kit: CoordinatorKit): KitSetup<Context> =>
  () =>
    kit.create();

const soon = (ms = 10_000) => ({ signal: AbortSignal.timeout(ms) });
const node = (id: string) => ({ id, address: `${id}:7400`, roles: ["owner"], weight: 2, wire: 3, partitions: 16 });

function join({ coordinators }: Context, index: number, id = `node-${index}`): Promise<Membership> {
  const coordinator = coordinators[index];
  assert.ok(coordinator !== undefined, `the kit needs a coordinator ${index}`);
  return coordinator.join(node(id), soon());
}

/** The first view that passes; fails when views end or none passes in time. */
async function until(membership: Membership, wanted: (view: View) => boolean): Promise<View> {
  const { signal } = soon(8_000);
  for await (const view of membership.views(signal)) if (wanted(view)) return view;
  throw new Error("the views ended before the one that was awaited");
}

const ids = (view: View) =>
  view.members
    .map(({ id }) => id)
    .sort()
    .join();
const self = (view: View, { incarnation }: Membership): Member => {
  const member = view.members.find((one) => one.incarnation === incarnation);
  assert.ok(member !== undefined, `no member with incarnation ${incarnation} in epoch ${view.epoch}`);
  return member;
};

const aloneCases: KitCase<Context>[] = [
  {
    name: "the first view shows the node as it joined",
    run: async (context) => {
      await using membership = await join(context, 0);
      const view = await until(membership, () => true);
      assert.deepEqual(self(view, membership), { ...node("node-0"), incarnation: membership.incarnation, drained: 0 });
      assert.ok(view.epoch >= 1, `epoch ${view.epoch}`);
      assert.equal(membership.lost.aborted, false);
      assert.ok(membership.validUntil > 0, `validUntil ${membership.validUntil}`);
    },
  },
  {
    name: "an id that is a member cannot join again, and the member is not disturbed",
    run: async (context) => {
      await using membership = await join(context, 0);
      await refused(join(context, context.coordinators.length - 1, "node-0"), "coordinator.duplicate");
      await membership.report(7, soon());
      await until(membership, (view) => self(view, membership).drained === 7);
    },
  },
  {
    name: "a report is a new view of the same epoch",
    run: async (context) => {
      await using membership = await join(context, 0);
      const { epoch } = await until(membership, () => true);
      await membership.report(epoch, soon());
      const view = await until(membership, (later) => self(later, membership).drained === epoch);
      assert.equal(view.epoch, epoch);
    },
  },
  {
    name: "a rejoin is a new incarnation in a later epoch and has drained nothing",
    run: async (context) => {
      const first = await join(context, 0);
      const before = await until(first, () => true);
      await first.report(before.epoch, soon());
      await first[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose]();
      await using second = await join(context, 0);
      const view = await until(second, (later) => later.members.some((m) => m.incarnation === second.incarnation));
      assert.notEqual(second.incarnation, first.incarnation);
      assert.ok(view.epoch > before.epoch, `epoch ${view.epoch} after ${before.epoch}`);
      assert.equal(self(view, second).drained, 0);
    },
  },
  {
    name: "a slow reader of views gets the newest",
    run: async (context) => {
      await using membership = await join(context, 0);
      const views = membership.views(soon().signal)[Symbol.asyncIterator]();
      await views.next();
      for (const drained of [1, 2, 3, 4, 5]) await membership.report(drained, soon());
      await until(membership, (view) => self(view, membership).drained === 5);
      let steps = 0;
      for (let drained = 0; drained !== 5; steps += 1) {
        const { value, done } = await views.next();
        assert.notEqual(done, true);
        drained = self(value as View, membership).drained;
      }
      assert.ok(steps <= 2, `the newest view came after ${steps} steps`);
      await views.return?.();
    },
  },
  {
    name: "views end soon after abort and when the node leaves",
    run: async (context) => {
      const membership = await join(context, 0);
      const stop = new AbortController();
      const ends = async (signal: AbortSignal) => {
        try {
          for await (const _ of membership.views(signal)) void _;
        } catch (reason) {
          if (reason !== signal.reason) throw reason;
        }
      };
      const aborted = ends(stop.signal);
      stop.abort();
      await aborted;
      const left = ends(soon().signal);
      await membership[Symbol.asyncDispose]();
      await left;
    },
  },
  {
    name: "a signal that has aborted stops join",
    run: async (context) => {
      const signal = AbortSignal.abort(new Error("too late"));
      await assert.rejects(Promise.resolve(context.coordinators[0]?.join(node("node-0"), { signal })), {
        message: "too late",
      });
      await using _ = await join(context, 0);
    },
  },
];

const togetherCases: KitCase<Context>[] = [
  {
    name: "a node with another number of partitions cannot join, and nobody is disturbed",
    run: async (context) => {
      await using a = await join(context, 0);
      const { epoch } = await until(a, () => true);
      const other = { ...node("node-1"), partitions: 17 };
      await refused(Promise.resolve(context.coordinators[1]?.join(other, soon())), "coordinator.partitions");
      await using b = await join(context, 1);
      const after = await until(a, (view) => ids(view) === "node-0,node-1");
      assert.ok(after.epoch > epoch, `epoch ${after.epoch} after ${epoch}`);
      assert.equal(b.lost.aborted, false);
    },
  },
  {
    name: "members see the same set under the same epoch, and epochs only grow",
    run: async (context) => {
      await using a = await join(context, 0);
      const seen: View[] = [];
      const stop = new AbortController();
      const watching = (async () => {
        for await (const view of a.views(stop.signal)) seen.push(view);
      })().catch(() => {});
      await using b = await join(context, 1);
      const both = (view: View) => ids(view) === "node-0,node-1";
      const [fromA, fromB] = await Promise.all([until(a, both), until(b, both)]);
      assert.equal(fromA.epoch, fromB.epoch);
      await b.report(fromB.epoch, soon());
      await until(a, (view) => both(view) && self(view, b).drained === fromB.epoch);
      stop.abort();
      await watching;
      const sets = new Map<number, string>();
      for (const [i, { epoch, members }] of seen.entries()) {
        assert.ok(epoch >= (seen[i - 1]?.epoch ?? 0), `epoch ${epoch} after ${seen[i - 1]?.epoch}`);
        const set = members
          .map(({ incarnation }) => incarnation)
          .sort()
          .join();
        assert.equal(sets.get(epoch) ?? set, set, `two sets of members under epoch ${epoch}`);
        sets.set(epoch, set);
      }
    },
  },
  {
    name: "leaving is a new epoch without the node",
    run: async (context) => {
      await using a = await join(context, 0);
      const b = await join(context, 1);
      const { epoch } = await until(a, (view) => ids(view) === "node-0,node-1");
      await b[Symbol.asyncDispose]();
      const after = await until(a, (view) => ids(view) === "node-0");
      assert.ok(after.epoch > epoch, `epoch ${after.epoch} after ${epoch}`);
      assert.equal(a.lost.aborted, false);
    },
  },
];

const expiryCases: KitCase<Context>[] = [
  {
    name: "an isolated node is lost before the others see it evicted",
    run: async (context) => {
      assert.ok(context.isolate !== undefined, "expiry needs isolate");
      await using a = await join(context, 0);
      const b = await join(context, 1);
      const { epoch } = await until(a, (view) => ids(view) === "node-0,node-1");
      const order: string[] = [];
      b.lost.addEventListener("abort", () => order.push("lost"));
      await context.isolate(1);
      const after = await until(a, (view) => ids(view) === "node-0");
      order.push("evicted");
      assert.deepEqual(order, ["lost", "evicted"]);
      assert.ok(after.epoch > epoch);
      assert.equal(a.lost.aborted, false);
    },
  },
];

const neverLostCases: KitCase<Context>[] = [
  {
    name: "a member that leaves was not lost",
    run: async (context) => {
      const membership = await join(context, 0);
      assert.equal(membership.validUntil, Number.POSITIVE_INFINITY);
      await membership[Symbol.asyncDispose]();
      assert.equal(membership.lost.aborted, false);
    },
  },
];
