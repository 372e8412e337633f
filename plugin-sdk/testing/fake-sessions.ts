import {
  type AttributesReply,
  type AttributesWanted,
  type ClientRpc,
  type DeviceIdentity,
  type DeviceProof,
  type Downlinks,
  Fault,
  type RpcRequest,
  type Session,
  type SessionEndReason,
  type SessionInfo,
  type SessionLimits,
  type Sessions,
  type Uplinks,
  unlimited,
} from "../src/index.ts";

/** A device of a tenant, as a transport sees it. */
export const fakeIdentity = (token: string, more: Partial<DeviceIdentity> = {}): DeviceIdentity => ({
  tenantId: "1da6ae90-9d58-11ef-b1c2-0242ac120002",
  customerId: undefined,
  deviceId: "de9d54a0-2b7a-11ec-a3cc-23386423d98f",
  deviceName: token,
  deviceType: "default",
  deviceLabel: undefined,
  profileId: "2da6ae90-9d58-11ef-b1c2-0242ac120002",
  transportType: "DEFAULT",
  transport: {},
  ruleChainId: undefined,
  gateway: false,
  refreshesChildren: false,
  ownTransport: {},
  ...more,
});

/** The platform as a transport sees it, in memory: tokens are accepted, a commit can be held back, payloads are JSON. */
export class FakeSessions implements Sessions {
  readonly tokens: Set<string>;
  /** What was accepted, in order: kind and text. */
  readonly taken: { readonly kind: "telemetry" | "attributes" | "rpcReply"; readonly text: string }[] = [];
  readonly sessions: FakeSession[] = [];
  #commit: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  constructor(...tokens: string[]) {
    this.tokens = new Set(tokens);
  }

  /** Nothing becomes durable until `resume`. */
  stall(): void {
    this.#commit = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  resume(): void {
    this.#release();
    this.#commit = Promise.resolve();
  }

  async authenticate(by: DeviceProof): Promise<DeviceIdentity | undefined> {
    return by.kind === "token" && this.tokens.has(by.token) ? fakeIdentity(by.token) : undefined;
  }

  isBlocked(_address: string): boolean {
    return false;
  }

  async identify(): Promise<DeviceIdentity | undefined> {
    return undefined;
  }

  async open(who: DeviceIdentity, _about: SessionInfo, down: Downlinks): Promise<FakeSession> {
    const session = new FakeSession(who, this, down);
    this.sessions.push(session);
    return session;
  }

  visit(who: DeviceIdentity): Uplinks {
    return new FakeUplinks(who, this);
  }

  /** Takes a document; throws `device.payload` for what is no JSON object or array. */
  take(kind: "telemetry" | "attributes", payload: Uint8Array): Promise<void> {
    const text = Buffer.from(payload).toString();
    if (!/^\s*[[{].*[\]}]\s*$/s.test(text)) throw new Fault("invalid", "device.payload", "not a document");
    this.taken.push({ kind, text });
    return this.#commit;
  }
}

class FakeUplinks implements Uplinks {
  readonly device: DeviceIdentity;
  protected readonly platform: FakeSessions;

  constructor(device: DeviceIdentity, platform: FakeSessions) {
    this.device = device;
    this.platform = platform;
  }

  telemetry(payload: Uint8Array): Promise<void> {
    return this.platform.take("telemetry", payload);
  }

  attributes(payload: Uint8Array): Promise<void> {
    return this.platform.take("attributes", payload);
  }

  async readAttributes(_want: AttributesWanted): Promise<AttributesReply> {
    return { client: '{"serial":"A1"}', shared: '{"interval":30}' };
  }

  rpc(): ClientRpc {
    return { accepted: Promise.resolve(), reply: Promise.resolve('{"time":1}') };
  }

  async rpcReply(_requestId: number, payload: Uint8Array): Promise<void> {
    this.platform.taken.push({ kind: "rpcReply", text: Buffer.from(payload).toString() });
  }

  touch(): void {}

  spend(): void {}

  limits(): SessionLimits {
    return { own: unlimited, children: unlimited };
  }
}

/** A session that a test can end and push to. */
export class FakeSession extends FakeUplinks implements Session {
  readonly id = "fake";
  readonly subscribed = new Set<string>();
  readonly #down: Downlinks;
  readonly #end = new AbortController();

  constructor(device: DeviceIdentity, platform: FakeSessions, down: Downlinks) {
    super(device, platform);
    this.#down = down;
  }

  get closed(): AbortSignal {
    return this.#end.signal;
  }

  async subscribe(what: "attributes" | "rpc", on: boolean): Promise<void> {
    if (on) this.subscribed.add(what);
    else this.subscribed.delete(what);
  }

  end(reason: SessionEndReason): void {
    this.#end.abort({ reason });
  }

  call(request: RpcRequest): Promise<void> {
    return this.#down.deliverRpc(request, { signal: this.#end.signal });
  }

  push(json: string): Promise<void> {
    return this.#down.deliverAttributes(json, { signal: this.#end.signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort({ reason: "leaving" });
  }
}
