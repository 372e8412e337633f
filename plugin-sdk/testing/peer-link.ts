import assert from "node:assert/strict";
import { describeCases, type KitCase, type KitSetup } from "./kit.ts";
import {
  blocked,
  Context,
  codeIs,
  delivered,
  fill,
  numbers,
  type PeerLinkKit,
  pause,
  rejectsWithin,
  soon,
  until,
} from "./peer-link-context.ts";
import { refused } from "./queue-backend-context.ts";

export type { PeerLinkKit, TestedPeers } from "./peer-link-context.ts";

/** The contract of `PeerLink`. */
export function describePeerLink(name: string, kit: PeerLinkKit): void {
  describeCases(`${name} as PeerLink`, peerLinkCases, peerLinkSetup(kit));
}

export const peerLinkSetup =
  ({ create, bounds }: PeerLinkKit): KitSetup<Context> =>
  async () =>
    new Context(await create(), bounds);

const delivery: KitCase<Context>[] = [
  {
    name: "a frame arrives as it was sent, with the id of its sender",
    run: async (context) => {
      const [a, b] = await context.pair();
      const frame = Uint8Array.from({ length: 256 }, (_, i) => i);
      await a.send(b, frame);
      await a.send(b, new Uint8Array(0));
      await until("two frames", () => b.received.length === 2);
      assert.deepEqual(
        b.received.map(({ from, frame }) => [from, Buffer.from(frame).toString("hex")]),
        [
          ["a", Buffer.from(frame).toString("hex")],
          ["a", ""],
        ],
      );
    },
  },
  {
    name: "frames of a pair arrive in the order of the sends, each once",
    run: async (context) => {
      const [a, b] = await context.pair();
      const texts = numbers(2_000);
      await Promise.all(texts.map((text) => a.send(b, text)));
      await until("all frames", () => b.received.length >= texts.length);
      await pause(20);
      assert.deepEqual(b.texts("a"), texts);
    },
  },
  {
    name: "order holds while small and large frames mix and the receiver takes its time",
    run: async (context) => {
      const [a, b] = await context.pair();
      const seen: number[] = [];
      b.onFrame = async (_from, frame) => {
        const number = Buffer.from(frame).readUInt32BE();
        if (number % 3 === 0) await pause(number % 2);
        seen.push(number);
      };
      const sizes = [4, 9_000, 70_000, 40].map((size) => Math.min(size, context.bounds.frameBytes));
      const frames = Array.from({ length: 200 }, (_, i) => {
        const frame = Buffer.alloc(sizes[i % sizes.length] as number);
        frame.writeUInt32BE(i);
        return frame;
      });
      await Promise.all(frames.map((frame) => a.send(b, frame)));
      await until("all frames", () => seen.length >= frames.length);
      assert.deepEqual(
        seen,
        frames.map((_, i) => i),
      );
    },
  },
  {
    name: "the largest frame arrives whole, in both directions at once",
    run: async (context) => {
      const [a, b] = await context.pair();
      const { frameBytes } = context.bounds;
      const frame = Buffer.alloc(frameBytes);
      for (let i = 0; i < frameBytes; i += 1) frame[i] = (i * 31 + (i >> 8)) & 0xff;
      await Promise.all([a.send(b, frame), b.send(a, frame)]);
      await until("both frames", () => a.received.length === 1 && b.received.length === 1);
      for (const { received } of [a, b]) assert.ok(frame.equals(received[0]?.frame as Uint8Array), "bytes differ");
    },
  },
  {
    name: "frames of many senders do not mix, and each keeps its order",
    run: async (context) => {
      const hub = await context.node("hub");
      const names = numbers(8).map((number) => `sender-${number}`);
      const senders = await Promise.all(names.map((name) => context.node(name)));
      const texts = numbers(200);
      const padded = (name: string) => texts.map((text) => `${name}/${text}/${"x".repeat(Number(text) * 7)}`);
      await Promise.all(
        senders.flatMap((sender, i) => padded(names[i] as string).map((text) => sender.send(hub, text))),
      );
      await until("all frames", () => hub.received.length >= names.length * texts.length);
      for (const name of names) assert.deepEqual(hub.texts(name), padded(name));
    },
  },
  {
    name: "a receiver that fails on a frame gets the next ones",
    run: async (context) => {
      const [a, b] = await context.pair();
      const keep = b.onFrame;
      b.onFrame = (from, frame) => {
        const text = Buffer.from(frame).toString();
        if (text === "throw") throw new Error("thrown on purpose");
        if (text === "reject") return Promise.reject(new Error("rejected on purpose"));
        return keep(from, frame);
      };
      for (const text of ["throw", "1", "reject", "2"]) await a.send(b, text);
      await until("both frames", () => b.received.length === 2);
      assert.deepEqual(b.texts("a"), ["1", "2"]);
    },
  },
];

const pressure: KitCase<Context>[] = [
  {
    name: "no frame of a sender comes before the one before it is done",
    run: async (context) => {
      const [a, b] = await context.pair();
      const receiver = blocked(b);
      for (const text of numbers(50)) await a.send(b, text);
      await until("the first frame", () => receiver.calls === 1);
      await pause(50);
      assert.equal(receiver.calls, 1);
      receiver.go();
      await until("the rest", () => receiver.calls === 50);
      assert.equal(receiver.most, 1);
    },
  },
  {
    name: "a slow receiver makes the sender wait, what is under way is bounded, and all of it arrives",
    run: async (context) => {
      const [a, b] = await context.pair();
      const receiver = blocked(b);
      const { taken, waits } = await fill(a, b, context);
      assert.equal(receiver.calls, 1);
      receiver.go();
      await waits;
      const sent = taken / Math.min(65_536, context.bounds.frameBytes) + 1;
      await until(`${sent} frames`, () => receiver.calls === sent);
    },
  },
  {
    name: "one slow receiver holds up no other",
    run: async (context) => {
      const [a, b] = await context.pair();
      const c = await context.node("c");
      const receiver = blocked(b);
      await fill(a, b, context);
      await a.send(c, "passes");
      await until("the frame of the other", () => c.received.length === 1, 1_000);
      receiver.go();
    },
  },
  {
    name: "a send that waits ends soon after its signal aborts, and its frame is never sent",
    run: async (context) => {
      const [a, b] = await context.pair();
      const receiver = blocked(b);
      await fill(a, b, context);
      const stop = new AbortController();
      const waits = a.send(b, "given up", stop.signal);
      const behind = a.send(b, "kept", soon(60_000));
      behind.catch(() => {});
      const reason = new Error("no longer wanted");
      await pause(10);
      stop.abort(reason);
      await rejectsWithin(200, waits, (error) => error === reason);
      const texts: string[] = [];
      b.onFrame = (_from, frame) => void (frame.length < 100 && texts.push(Buffer.from(frame).toString()));
      receiver.go();
      await behind;
      await until("the frame behind it", () => texts.length > 0);
      assert.deepEqual(texts, ["kept"]);
    },
  },
  {
    name: "a signal that has aborted sends nothing",
    run: async (context) => {
      const [a, b] = await context.pair();
      await rejectsWithin(200, a.send(b, "late", AbortSignal.abort(new Error("late"))), (e) =>
        String(e).includes("late"),
      );
      await a.send(b, "next");
      await until("a frame", () => b.received.length > 0);
      assert.deepEqual(b.texts("a"), ["next"]);
    },
  },
];

const trouble: KitCase<Context>[] = [
  {
    name: "a frame over the limit is refused at the sender, and the connection stays",
    run: async (context) => {
      const [a, b] = await context.pair();
      await a.send(b, "before");
      await refused(a.send(b, new Uint8Array(context.bounds.frameBytes + 1)), "peer.frame-too-large");
      await a.send(b, "after");
      await until("both frames", () => b.received.length === 2);
      assert.deepEqual(b.texts("a"), ["before", "after"]);
    },
  },
  {
    name: "an address where nobody listens is unreachable, soon and every time",
    run: async (context) => {
      const a = await context.node("a");
      for (let i = 0; i < 3; i += 1) {
        await rejectsWithin(2_000, a.send(context.unreachable, "x"), codeIs("peer.unreachable"));
      }
    },
  },
  {
    name: "who is not admitted delivers nothing, and delivers as soon as he is",
    run: async (context) => {
      let open = false;
      const a = await context.node("a");
      const b = await context.node("b", (from) => from === "a" && open);
      a.send(b, "early").catch(() => {});
      await pause(100);
      assert.equal(b.received.length, 0);
      open = true;
      await delivered(a, b, "let in");
      await until("a frame", () => b.texts("a").includes("let in"));
      assert.equal(b.received[0]?.from, "a");
    },
  },
  {
    name: "a receiver that comes back on its address is reached again, and frames keep their order",
    run: async (context) => {
      const [a, b] = await context.pair();
      await a.send(b, "0");
      await until("the first frame", () => b.received.length === 1);
      await b[Symbol.asyncDispose]();
      await rejectsWithin(
        4_000,
        (async () => {
          for (;;) {
            await a.send(b.address, "lost");
            await pause(20);
          }
        })(),
        codeIs("peer.unreachable"),
      );
      const again = await context.node("b");
      assert.equal(again.address, b.address);
      for (const text of numbers(20)) await delivered(a, again, text);
      await until("the last frame", () => again.texts("a").at(-1) === "19");
      const kept = again.texts("a").filter((text) => text !== "lost");
      assert.deepEqual(kept, numbers(20));
      assert.ok(!b.texts("a").includes("19"));
    },
  },
  {
    name: "dispose ends the sends that wait and delivers nothing more, and a second one is fine",
    run: async (context) => {
      const [a, b] = await context.pair();
      blocked(b);
      const { waits } = await fill(a, b, context);
      const closing = a[Symbol.asyncDispose]();
      await rejectsWithin(500, waits, codeIs("peer.closed"));
      await closing;
      await a[Symbol.asyncDispose]();
      await refused(a.send(b, "late"), "peer.closed");
    },
  },
  {
    name: "what was sent before dispose still arrives, and what comes after is not delivered",
    run: async (context) => {
      const [a, b] = await context.pair();
      await a.send(b, "0");
      await until("the first frame", () => b.received.length === 1);
      const texts = numbers(100);
      for (const text of texts) await a.send(b, text);
      await a[Symbol.asyncDispose]();
      await until("all frames", () => b.received.length === 101);
      const c = await context.node("c");
      await c.send(b, "x");
      await until("the frame of another", () => b.received.length === 102);
      await b[Symbol.asyncDispose]();
      await c.send(b, "y").catch(() => {});
      await pause(50);
      assert.equal(b.received.length, 102);
    },
  },
];

export const peerLinkCases: readonly KitCase<Context>[] = [...delivery, ...pressure, ...trouble];
