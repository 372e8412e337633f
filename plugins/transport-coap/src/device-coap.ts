import {
  asFault,
  type DeviceIdentity,
  Fault,
  type Log,
  type Sessions,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import { isObjectText } from "./object-text.ts";
import type { Observed, Observers } from "./observers.ts";
import type { Request } from "./request.ts";
import type { Response } from "./response.ts";
import { type Feature, type Route, routeOf } from "./routes.ts";

interface DeviceCoapOptions {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly signal: AbortSignal;
  observers(): Observers;
}

/** A device's own call is answered by then, on this transport (device-api 4.2). */
const clientRpcMs = 10_000;
const json = 50;
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
      const device = await this.#options.sessions.authenticate({ kind: "token", token: route.token }, this.#options);
      if (device === undefined) return { code: "4.01" };
      return await this.#answer(request, device, route);
    } catch (error) {
      return { code: this.#codeOf(error, route.feature) };
    }
  }

  #answer(request: Request, device: DeviceIdentity, route: Route): Promise<Response> | Response {
    // No package can be assigned here, so none is (device-api 4.7).
    if (route.feature === "package") return { code: "4.04" };
    if (device.transportType !== "DEFAULT" && device.transportType !== "COAP") return { code: "5.00" };
    // Protobuf profiles know no JSON (device-api 4.5), and Protobuf is not read here.
    if (wantsProtobuf(device)) return { code: "4.00" };
    if (request.method === "GET") return this.#get(request, device, route.feature === "rpc" ? "rpc" : "attributes");
    return this.#post(request, device, route);
  }

  async #post({ payload, format }: Request, device: DeviceIdentity, { feature, id }: Route): Promise<Response> {
    const uplinks = this.#of(device);
    if (feature === "telemetry") await uplinks.telemetry(payload);
    else if (feature === "attributes") await uplinks.attributes(payload);
    else if (id === undefined) return this.#clientRpc(uplinks, payload, format);
    else if (isObjectText(payload)) await uplinks.rpcReply(id, payload);
    else return { code: "5.00" };
    return created;
  }

  #get(request: Request, device: DeviceIdentity, what: Observed): Promise<Response> | Response {
    const observers = this.#options.observers();
    const { observe, format = json, block2 } = request;
    if (observe === 0 && (block2 === undefined || block2.num === 0)) {
      return observers.observe(request, { device, what }, async (session) => {
        if (what === "rpc") return { code: "2.03" };
        const { shared = "{}" } = await session.readAttributes({ client: "none", shared: "all" }, this.#options);
        return { code: "2.05", payload: Buffer.from(shared), format };
      });
    }
    if (observe === 1 && observers.cancel(request, device, what)) return { code: "2.02" };
    if (what === "rpc") return { code: observe === 1 ? "4.04" : "4.00" };
    return this.#readAttributes(request, device);
  }

  async #readAttributes({ query, format = json }: Request, device: DeviceIdentity): Promise<Response> {
    const client = keysOf(query, "clientKeys=");
    const shared = keysOf(query, "sharedKeys=");
    const all = client === undefined && shared === undefined;
    const want = { client: client ?? (all ? "all" : "none"), shared: shared ?? (all ? "all" : "none") } as const;
    const found = await this.#of(device).readAttributes(want, this.#options);
    const parts = Object.entries(found).map(([scope, text]) => `"${scope}":${text}`);
    if (parts.length === 0) return { code: "4.04", format };
    return { code: "2.05", payload: Buffer.from(`{${parts.join(",")}}`), format };
  }

  async #clientRpc(uplinks: Uplinks, payload: Buffer, format = json): Promise<Response> {
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
      return { code: "2.05", payload: Buffer.from(reply), format };
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

function wantsProtobuf({ transport }: DeviceIdentity): boolean {
  const type = transport["coapDeviceTypeConfiguration"] as Record<string, unknown> | undefined;
  const payload = type?.["transportPayloadTypeConfiguration"] as Record<string, unknown> | undefined;
  return payload?.["transportPayloadType"] === "PROTOBUF";
}

function keysOf(query: readonly string[], name: string): readonly string[] | undefined {
  const text = query.find((part) => part.startsWith(name))?.slice(name.length);
  return text === undefined || text === "" ? undefined : text.split(",");
}
