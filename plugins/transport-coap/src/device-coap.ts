import { codecsOf, type PayloadCodec, provisionReplyBytes, provisionRequestText } from "@heddle/payload-codec";
import {
  asFault,
  type DeviceIdentity,
  type DeviceProof,
  Fault,
  type Log,
  type Onboarding,
  type OtaPackages,
  type Sessions,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import { formatOf } from "./formats.ts";
import { isObjectText } from "./object-text.ts";
import type { Observed, Observers } from "./observers.ts";
import { packageResponse } from "./packages.ts";
import type { Request } from "./request.ts";
import type { Response } from "./response.ts";
import { type Feature, type Route, routeOf } from "./routes.ts";

interface DeviceCoapOptions {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  readonly packages: OtaPackages;
  readonly signal: AbortSignal;
  observers(): Observers;
}

/** A device's own call is answered by then, on this transport (device-api 4.2). */
const clientRpcMs = 10_000;
const json = 50;
const octets = 42;
const created: Response = { code: "2.01" };

/** `/api/v1/{token}/…` (device-api 4). */
export class DeviceCoap {
  readonly #options: DeviceCoapOptions;
  /** The uplinks of a device are kept while it keeps posting, as the encoded heads of its messages are. */
  readonly #uplinks = new WeakMap<DeviceIdentity, Uplinks>();
  #call = 0;

  constructor(options: DeviceCoapOptions) {
    this.#options = options;
  }

  async handle(request: Request): Promise<Response> {
    const route = routeOf(request);
    if (!("feature" in route)) return route;
    try {
      if (route.feature === "provision") return await this.#provision(request);
      const device = await this.#authenticate(request, route);
      if (device === undefined) return { code: "4.01" };
      this.#options.observers().heard(device.deviceId);
      return await this.#answer(request, device, route);
    } catch (error) {
      return { code: this.#codeOf(error, route.feature) };
    }
  }

  async #authenticate({ from }: Request, { token }: Route): Promise<DeviceIdentity | undefined> {
    const { sessions, signal } = this.#options;
    if (sessions.isBlocked(from.address)) return undefined;
    const by: DeviceProof =
      token === undefined ? { kind: "x509", hash: from.certificateHash ?? "" } : { kind: "token", token };
    return sessions.authenticate(by, { signal, from: { transport: "coap", address: from.address } });
  }

  #answer(request: Request, device: DeviceIdentity, route: Route): Promise<Response> | Response {
    const { feature } = route;
    if (feature === "firmware" || feature === "software") return this.#package(request, device, feature);
    if (device.transportType !== "DEFAULT" && device.transportType !== "COAP") return { code: "5.00" };
    if (request.method === "GET") return this.#get(request, device, feature === "rpc" ? "rpc" : "attributes");
    return this.#post(request, device, route);
  }

  #package({ query }: Request, device: DeviceIdentity, feature: "firmware" | "software"): Promise<Response> {
    this.#of(device).spend();
    const type = feature === "firmware" ? "FIRMWARE" : "SOFTWARE";
    return packageResponse(this.#options.packages, { deviceId: device.deviceId, type, query }, this.#options);
  }

  async #post(request: Request, device: DeviceIdentity, { feature, id }: Route): Promise<Response> {
    const uplinks = this.#of(device);
    const { profile } = codecsOf(device);
    const { payload } = request;
    if (feature === "telemetry") await uplinks.telemetry(profile.telemetry(payload));
    else if (feature === "attributes") await uplinks.attributes(profile.attributes(payload));
    else if (feature === "claim") await this.#claim(uplinks, device, profile.claim(payload));
    else if (id === undefined) return this.#clientRpc(uplinks, { request, device, codec: profile });
    else {
      const reply = profile.rpcReply(payload);
      if (!isObjectText(reply)) return { code: "5.00" };
      await uplinks.rpcReply(id, reply);
    }
    return created;
  }

  async #claim(uplinks: Uplinks, device: DeviceIdentity, document: Uint8Array): Promise<void> {
    uplinks.spend();
    uplinks.touch();
    await this.#options.onboarding.openClaim(device, document, this.#options);
  }

  /** JSON first, then Protobuf; the reply is in the same encoding (device-api 4.8). */
  async #provision({ payload, format = json }: Request): Promise<Response> {
    const { onboarding } = this.#options;
    let protobuf = false;
    const read = () => {
      try {
        return onboarding.readProvisionRequest(payload);
      } catch (error) {
        if (asFault(error).code !== "onboarding.json") throw error;
        const text = provisionRequestText(payload);
        protobuf = true;
        return onboarding.readProvisionRequest(text);
      }
    };
    const reply = await onboarding.provision(read(), this.#options);
    const code = reply.status === "SUCCESS" ? "2.01" : "4.00";
    if (protobuf) return { code, payload: provisionReplyBytes(reply), format: octets };
    return { code, payload: Buffer.from(JSON.stringify(reply)), format };
  }

  #get(request: Request, device: DeviceIdentity, what: Observed): Promise<Response> | Response {
    const observers = this.#options.observers();
    const { observe, block2 } = request;
    if (observe === 0 && (block2 === undefined || block2.num === 0)) {
      return observers.observe(request, { device, what }, async (session) => {
        if (what === "rpc") return { code: "2.03" };
        const { shared = "{}" } = await session.readAttributes({ client: "none", shared: "all" }, this.#options);
        const { profile } = codecsOf(device);
        const payload = profile.encoding === "json" ? Buffer.from(shared) : profile.attributesReply(0, { shared });
        return { code: "2.05", payload, format: formatOf(device, request) };
      });
    }
    if (observe === 1 && observers.cancel(request, device, what)) return { code: "2.02" };
    if (what === "rpc") return { code: observe === 1 ? "4.04" : "4.00" };
    return this.#readAttributes(request, device);
  }

  async #readAttributes(request: Request, device: DeviceIdentity): Promise<Response> {
    const client = keysOf(request.query, "clientKeys=");
    const shared = keysOf(request.query, "sharedKeys=");
    const all = client === undefined && shared === undefined;
    const want = { client: client ?? (all ? "all" : "none"), shared: shared ?? (all ? "all" : "none") } as const;
    const found = await this.#of(device).readAttributes(want, this.#options);
    const format = formatOf(device, request);
    if (Object.keys(found).length === 0) return { code: "4.04", format };
    return { code: "2.05", payload: codecsOf(device).profile.attributesReply(0, found), format };
  }

  async #clientRpc(
    uplinks: Uplinks,
    {
      request,
      device,
      codec,
    }: { readonly request: Request; readonly device: DeviceIdentity; readonly codec: PayloadCodec },
  ): Promise<Response> {
    const payload = codec.clientRpc(request.payload);
    const giveUp = new AbortController();
    const late = () =>
      giveUp.abort(new Fault("unavailable", "coap.rpc-timeout", `no rule chain answered in ${clientRpcMs / 1_000} s`));
    const timer = this.#options.world.timer(clientRpcMs, late);
    try {
      // Ids of one device must differ while calls are open; nothing else reads them.
      this.#call = (this.#call + 1) & 0x7fff_ffff;
      const signal = AbortSignal.any([giveUp.signal, this.#options.signal]);
      const call = uplinks.rpc({ requestId: this.#call, payload }, { signal });
      const [, reply] = await Promise.all([call.accepted, call.reply]);
      const format = formatOf(device, request);
      return { code: "2.05", payload: codec.clientRpcReply(this.#call, reply), format };
    } finally {
      timer[Symbol.dispose]();
    }
  }

  #of(device: DeviceIdentity): Uplinks {
    let uplinks = this.#uplinks.get(device);
    if (uplinks === undefined) {
      uplinks = this.#options.sessions.visit(device);
      this.#uplinks.set(device, uplinks);
    }
    return uplinks;
  }

  /** device-api 4.2; what may succeed later is told apart from what will not. */
  #codeOf(error: unknown, feature: Feature): string {
    const fault = asFault(error);
    if (fault.code === "coap.rpc-timeout" || fault.code === "rpc.timeout") return "5.04";
    if (fault.kind === "invalid") return feature === "rpc" ? "5.00" : "4.00";
    if (fault.code === "device.rate-limit") return "5.00";
    if (fault.kind === "internal") this.#options.log.error("request of a device failed", { error });
    return fault.retryable ? "5.03" : "5.00";
  }
}

function keysOf(query: readonly string[], name: string): readonly string[] | undefined {
  const text = query.find((part) => part.startsWith(name))?.slice(name.length);
  return text === undefined || text === "" ? undefined : text.split(",");
}
