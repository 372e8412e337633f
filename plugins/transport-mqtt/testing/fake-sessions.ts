import {
  type AttributesReply,
  type AttributesWanted,
  type CallOptions,
  type ClientRpc,
  type DeviceIdentity,
  type DeviceProof,
  type Downlinks,
  Fault,
  type Session,
  type SessionEndReason,
  type SessionInfo,
  type SessionLimits,
  type Sessions,
  type Uplinks,
  unlimited,
} from "@heddle/plugin-sdk";
import { fakeIdentity } from "@heddle/plugin-sdk/testing";

/** What a device said, in the order in which it was heard. */
export interface Heard {
  readonly device: string;
  readonly kind: "telemetry" | "attributes" | "rpcReply" | "rpc";
  readonly text: string;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  readonly requestId?: number;
}

export interface FakeDevice {
  readonly token?: string;
  readonly basic?: { readonly clientId?: string; readonly userName?: string; readonly password?: string };
  readonly hash?: string;
  readonly identity?: Partial<DeviceIdentity>;
}

/** A platform for one test: credentials, a commit that takes as long as it is told, a hand on every open session. */
export class FakeSessions implements Sessions {
  readonly heard: Heard[] = [];
  readonly current = new Map<string, FakeSession>();
  readonly opened: FakeSession[] = [];
  readonly proofs: DeviceProof[] = [];
  readonly devices = new Map<string, FakeDevice>();
  /** Resolves as the commit of one message; by default all of a turn share one that is quick. */
  commit: () => Promise<void> = () => Promise.resolve();
  authenticateMs = 0;
  openFault: Fault | undefined;
  authenticateFault: Fault | undefined;
  attributes: AttributesReply = {};
  reply: (payload: string) => Promise<string> = () => new Promise(() => {});
  refuse: ((text: string) => Fault | undefined) | undefined;
  /** Takes the place of reading and keeping, where the transport alone is measured. */
  ingest: ((payload: Uint8Array) => Promise<void>) | undefined;

  async authenticate(by: DeviceProof, { signal }: CallOptions): Promise<DeviceIdentity | undefined> {
    this.proofs.push(by);
    if (this.authenticateMs > 0) await new Promise((resolve) => setTimeout(resolve, this.authenticateMs));
    signal.throwIfAborted();
    if (this.authenticateFault !== undefined) throw this.authenticateFault;
    for (const [name, device] of this.devices) if (fits(device, by)) return identityOf(name, device);
    return undefined;
  }

  isBlocked(_address: string): boolean {
    return false;
  }

  async identify(deviceId: string): Promise<DeviceIdentity | undefined> {
    const device = this.devices.get(deviceId);
    return device === undefined ? undefined : identityOf(deviceId, device);
  }

  async open(who: DeviceIdentity, _about: SessionInfo, down: Downlinks): Promise<Session> {
    if (this.openFault !== undefined) throw this.openFault;
    const session = new FakeSession(this, who, down);
    const old = this.current.get(who.deviceId);
    this.current.set(who.deviceId, session);
    this.opened.push(session);
    old?.finish("replaced");
    return session;
  }

  visit(who: DeviceIdentity): Uplinks {
    return new FakeSession(this, who, { deliverAttributes: async () => {}, deliverRpc: async () => {} });
  }

  session(device: string): FakeSession {
    const session = this.current.get(device);
    if (session === undefined) throw new Error(`${device} has no session`);
    return session;
  }
}

export class FakeSession implements Session {
  readonly id: string;
  device: DeviceIdentity;
  readonly down: Downlinks;
  readonly subscribed = new Set<string>();
  readonly wanted: AttributesWanted[] = [];
  touched = 0;
  disposed = false;
  readonly #platform: FakeSessions;
  readonly #end = new AbortController();

  constructor(platform: FakeSessions, device: DeviceIdentity, down: Downlinks) {
    this.#platform = platform;
    this.device = device;
    this.id = device.deviceId;
    this.down = down;
  }

  get closed(): AbortSignal {
    return this.#end.signal;
  }

  get call(): CallOptions {
    return { signal: this.#end.signal };
  }

  finish(reason: SessionEndReason): void {
    this.#end.abort({ reason });
  }

  telemetry(payload: Uint8Array, meta?: Readonly<Record<string, string>>): Promise<void> {
    if (this.#platform.ingest !== undefined) return this.#platform.ingest(payload);
    return this.#hear({ device: this.id, kind: "telemetry", text: this.#json(payload), meta });
  }

  attributes(payload: Uint8Array, meta?: Readonly<Record<string, string>>): Promise<void> {
    return this.#hear({ device: this.id, kind: "attributes", text: this.#json(payload), meta });
  }

  async readAttributes(want: AttributesWanted): Promise<AttributesReply> {
    this.wanted.push(want);
    return this.#platform.attributes;
  }

  rpc({ requestId, payload }: { requestId: number; payload: Uint8Array }): ClientRpc {
    const text = this.#json(payload);
    if (!text.includes('"method"')) throw new Fault("invalid", "device.payload", "no method");
    return {
      accepted: this.#hear({ device: this.id, kind: "rpc", text, requestId }),
      reply: this.#platform.reply(text),
    };
  }

  rpcReply(requestId: number, payload: Uint8Array): Promise<void> {
    return this.#hear({ device: this.id, kind: "rpcReply", text: Buffer.from(payload).toString(), requestId });
  }

  touch(): void {
    this.touched++;
  }

  spend(): void {}

  limits(): SessionLimits {
    return { own: unlimited, children: unlimited };
  }

  async subscribe(what: "attributes" | "rpc", on: boolean): Promise<void> {
    if (on) this.subscribed.add(what);
    else this.subscribed.delete(what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    if (this.#platform.current.get(this.id) === this) this.#platform.current.delete(this.id);
    this.finish("leaving");
  }

  #hear(heard: Heard): Promise<void> {
    const fault = this.#platform.refuse?.(heard.text);
    if (fault !== undefined) throw fault;
    this.#platform.heard.push(heard);
    return this.#platform.commit();
  }

  /** Strict JSON objects and arrays are enough for tests of a transport. */
  #json(payload: Uint8Array): string {
    const text = Buffer.from(payload).toString();
    if (!/^\s*[[{]/.test(text) || !isJson(text)) throw new Fault("invalid", "device.payload", "not JSON");
    return text;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function fits({ token, basic, hash }: FakeDevice, by: DeviceProof): boolean {
  if (by.kind === "x509") return hash === by.hash;
  if (by.kind === "token") return token === by.token;
  if (token !== undefined && token === by.userName) return true;
  if (basic === undefined) return false;
  return (
    (basic.clientId ?? by.clientId) === by.clientId &&
    (basic.userName ?? by.userName) === by.userName &&
    (basic.password ?? by.password) === by.password
  );
}

export function identityOf(name: string, { identity }: FakeDevice = {}): DeviceIdentity {
  return fakeIdentity(name, { deviceId: name, ...identity });
}

/** Commits that end together every `ms`, like a disk's. */
export function groupCommit(ms: number): () => Promise<void> {
  let group: Promise<void> | undefined;
  return () => {
    group ??= new Promise((resolve) => {
      setTimeout(() => {
        group = undefined;
        resolve();
      }, ms);
    });
    return group;
  };
}

/** A commit that nothing finishes before `release`. */
export function stalledCommit(): { readonly commit: () => Promise<void>; release(): void } {
  let release = () => {};
  const group = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { commit: () => group, release };
}
