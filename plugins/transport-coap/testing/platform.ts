import {
  type AttributesReply,
  type AttributesWanted,
  type ClientRpc,
  type ClientRpcRequest,
  type DeviceIdentity,
  type Downlinks,
  Fault,
  type Session,
  type SessionEnd,
  type SessionInfo,
  type Sessions,
  type Uplinks,
  unlimited,
} from "@heddle/plugin-sdk";
import { fakeIdentity } from "@heddle/plugin-sdk/testing";

export interface FakeSession extends Session {
  readonly down: Downlinks;
  readonly about: SessionInfo;
  readonly subscriptions: string[];
  touches: number;
  end(reason: SessionEnd["reason"]): void;
}

/** A platform in memory. Hooks decide how it answers; what reached it is kept. */
export class FakePlatform implements Sessions {
  readonly devices = new Map<string, DeviceIdentity>();
  readonly telemetryTexts: string[] = [];
  readonly attributeTexts: string[] = [];
  readonly replies: { readonly id: number; readonly text: string }[] = [];
  readonly calls: string[] = [];
  readonly sessions: FakeSession[] = [];
  /** Called when a session subscribes, before the platform knows of it. */
  onSubscribe: (session: FakeSession, what: string) => Promise<void> | void = () => {};
  keepTexts = true;
  handled = 0;
  visits = 0;
  client: Record<string, string> = {};
  shared: Record<string, string> = {};
  /** The moment of durability. */
  commit: () => Promise<void> = async () => {};
  answer: (request: ClientRpcRequest) => Promise<string> = async () => "{}";

  device(token: string, more: Partial<DeviceIdentity> = {}): DeviceIdentity {
    const identity = fakeIdentity(token, { deviceId: `device-${token}`, ...more });
    this.devices.set(token, identity);
    return identity;
  }

  async authenticate(by: Parameters<Sessions["authenticate"]>[0]): Promise<DeviceIdentity | undefined> {
    return by.kind === "token" ? this.devices.get(by.token) : undefined;
  }

  isBlocked(): boolean {
    return false;
  }

  async identify(deviceId: string): Promise<DeviceIdentity | undefined> {
    return [...this.devices.values()].find((device) => device.deviceId === deviceId);
  }

  visit(): Uplinks {
    this.visits++;
    return this.#uplinks();
  }

  async open(device: DeviceIdentity, about: SessionInfo, down: Downlinks): Promise<Session> {
    const end = new AbortController();
    const session: FakeSession = {
      ...this.#uplinks(),
      id: String(this.sessions.length),
      device,
      about,
      down,
      subscriptions: [],
      touches: 0,
      touch() {
        session.touches++;
      },
      closed: end.signal,
      end: (reason) => end.abort({ reason }),
      subscribe: async (what, on) => {
        session.subscriptions.push(`${on ? "+" : "-"}${what}`);
        await this.onSubscribe(session, what);
      },
      [Symbol.asyncDispose]: async () => end.abort({ reason: "leaving" }),
    };
    const older = this.sessions.findLast((one) => one.device.deviceId === device.deviceId && !one.closed.aborted);
    this.sessions.push(session);
    older?.end("replaced");
    return session;
  }

  #uplinks(): Uplinks {
    return {
      telemetry: (payload) => this.#take(this.telemetryTexts, payload),
      attributes: (payload) => this.#take(this.attributeTexts, payload),
      readAttributes: async (want: AttributesWanted): Promise<AttributesReply> => {
        const client = pick(this.client, want.client);
        const shared = pick(this.shared, want.shared);
        return { ...(client === undefined ? {} : { client }), ...(shared === undefined ? {} : { shared }) };
      },
      rpc: (request, { signal }): ClientRpc => {
        this.calls.push(Buffer.from(request.payload).toString());
        const aborted = new Promise<never>((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        });
        return { accepted: this.commit(), reply: Promise.race([this.answer(request), aborted]) };
      },
      rpcReply: async (id, payload) => void this.replies.push({ id, text: Buffer.from(payload).toString() }),
      touch() {},
      spend() {},
      limits: () => ({ own: unlimited, children: unlimited }),
    };
  }

  #take(texts: string[], payload: Uint8Array): Promise<void> {
    const text = Buffer.from(payload).toString();
    if (!/^\s*[{[]/.test(text)) throw new Fault("invalid", "device.payload", "not an object");
    this.handled++;
    if (this.keepTexts) texts.push(text);
    return this.commit();
  }
}

/** `values` are JSON texts by key. */
function pick(values: Record<string, string>, want: readonly string[] | "all" | "none"): string | undefined {
  if (want === "none") return undefined;
  const found = Object.entries(values).filter(([key]) => want === "all" || want.includes(key));
  if (found.length === 0) return undefined;
  return `{${found.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
}
