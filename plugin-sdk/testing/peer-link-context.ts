import assert from "node:assert/strict";
import type { PeerIdentity, PeerLink } from "../src/index.ts";

export interface TestedPeers extends AsyncDisposable {
  /** The link of a node, not listening yet. A name that was used before gets the address that it had. */
  link(name: string): Promise<PeerLink>;
  /** Where nobody listens. */
  readonly unreachable: string;
}

export interface PeerLinkKit {
  create(): Promise<TestedPeers>;
  readonly bounds: {
    /** The largest frame. */
    readonly frameBytes: number;
    /** The most that a link and the system below it take for a peer that does not read. */
    readonly takenBytes: number;
  };
}

type OnFrame = (from: string, frame: Uint8Array) => Promise<void> | void;

/** A node whose frames the case looks at. */
export class Node implements AsyncDisposable {
  readonly link: PeerLink;
  readonly received: { readonly from: string; readonly frame: Uint8Array }[] = [];
  /** What the receiver does with a frame; by default it keeps it. */
  onFrame: OnFrame = (from, frame) => void this.received.push({ from, frame: frame.slice() });
  address = "";

  constructor(link: PeerLink) {
    this.link = link;
  }

  send(to: Node | string, frame: Uint8Array | string, signal = soon()): Promise<void> {
    const bytes = typeof frame === "string" ? Buffer.from(frame) : frame;
    return this.link.send(typeof to === "string" ? to : to.address, bytes, { signal });
  }

  texts(from: string): string[] {
    return this.received.filter((one) => one.from === from).map(({ frame }) => Buffer.from(frame).toString());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.link[Symbol.asyncDispose]();
  }
}

export class Context implements AsyncDisposable {
  readonly bounds: PeerLinkKit["bounds"];
  readonly #peers: TestedPeers;
  readonly #nodes: Node[] = [];

  constructor(peers: TestedPeers, bounds: PeerLinkKit["bounds"]) {
    this.#peers = peers;
    this.bounds = bounds;
  }

  get unreachable(): string {
    return this.#peers.unreachable;
  }

  async node(name: string, admit: PeerIdentity["admit"] = () => true): Promise<Node> {
    const node = new Node(await this.#peers.link(name));
    this.#nodes.push(node);
    node.address = await node.link.listen((from, frame) => node.onFrame(from, frame), { id: name, admit });
    return node;
  }

  async pair(): Promise<[Node, Node]> {
    return [await this.node("a"), await this.node("b")];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node[Symbol.asyncDispose]();
    await this.#peers[Symbol.asyncDispose]();
  }
}

export const soon = (ms = 10_000) => AbortSignal.timeout(ms);
export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
export const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

export async function until(what: string, holds: () => boolean, ms = 8_000): Promise<void> {
  for (const end = performance.now() + ms; !holds(); await pause(2)) {
    assert.ok(performance.now() < end, `not within ${ms} ms: ${what}`);
  }
}

/** Fails when it does not reject in time, or for another reason. */
export async function rejectsWithin(
  ms: number,
  work: Promise<unknown>,
  wanted: (reason: unknown) => boolean,
): Promise<void> {
  const outcome = await Promise.race([
    work.then(
      () => "it resolved",
      (reason: unknown) => (wanted(reason) ? undefined : `it rejected with ${String(reason)}`),
    ),
    pause(ms).then(() => `it did not settle within ${ms} ms`),
  ]);
  assert.equal(outcome, undefined);
}

export const codeIs = (code: string) => (reason: unknown) => (reason as { code?: string }).code === code;

/** Sends until one waits; the receiver reads nothing. Returns what was taken, and the send that waits. */
export async function fill(a: Node, b: Node, { bounds }: Context): Promise<{ taken: number; waits: Promise<void> }> {
  const size = Math.min(65_536, bounds.frameBytes);
  const frame = new Uint8Array(size);
  // Making the connection may take its time; from here on, a send that takes long is one that waits.
  await a.send(b, frame);
  for (let taken = size; taken <= bounds.takenBytes; taken += size) {
    const sent = a.send(b, frame, soon(60_000));
    sent.catch(() => {});
    const state = await Promise.race([sent.then(() => "taken"), pause(300).then(() => "waits")]);
    if (state === "waits") return { taken, waits: sent };
  }
  throw new assert.AssertionError({ message: `more than ${bounds.takenBytes} bytes were taken for who does not read` });
}

/** A receiver that is busy with its first frame until `go`. */
export function blocked(node: Node): { calls: number; busy: number; most: number; go(): void } {
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const state = { calls: 0, busy: 0, most: 0, go };
  node.onFrame = async () => {
    state.calls += 1;
    state.busy += 1;
    state.most = Math.max(state.most, state.busy);
    await gate;
    state.busy -= 1;
  };
  return state;
}

/** Sends it again until it is taken: the link may still be pausing between two attempts. */
export async function delivered(a: Node, b: Node, text: string): Promise<void> {
  for (const end = performance.now() + 8_000; ; await pause(20)) {
    const failure = await a.send(b, text).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (failure === undefined) return;
    assert.ok(performance.now() < end, `not taken: ${String(failure)}`);
  }
}
