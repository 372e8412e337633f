import { type ChildAttributesRequest, type ChildPart, codecsOf, type GatewayCodec } from "@heddle/payload-codec";
import { asFault, type ChildName, type Downlinks, Fault, type Session } from "@heddle/plugin-sdk";
import { packetIdOf } from "../ack-line.ts";
import type { Downstream } from "../downstream.ts";
import { reason } from "../reasons.ts";
import { type Told, topicText } from "../told.ts";
import type { Upstream } from "../upstream.ts";
import type { Wire } from "../wire.ts";
import { Children } from "./children.ts";
import { Latencies } from "./latencies.ts";
import { gravest, noticeReason } from "./outcomes.ts";

interface Parts {
  readonly session: Session;
  readonly up: Upstream;
  readonly down: Downstream;
}

/** What a gateway says for the devices behind it (device-api 2.9). */
export class Gateway {
  readonly #wire: Wire;
  readonly #parts: Parts;
  readonly #children: Children;
  readonly #latencies: Latencies;

  constructor(wire: Wire, parts: Parts) {
    this.#wire = wire;
    this.#parts = parts;
    this.#latencies = new Latencies(wire.common.limits.latencyMs);
    const { session, down } = parts;
    const downlinks = (name: string): Downlinks => ({
      deliverAttributes: async (json, call) =>
        down.deliver("gatewayAttributes", this.#codec.attributesUpdate(name, json), { ...call, confirm: false }),
      deliverRpc: async (request, call) =>
        down.deliver("gatewayRpc", this.#codec.rpcRequest(name, request), { ...call, confirm: true }),
    });
    this.#children = new Children(wire, { session, downlinks });
  }

  tell(told: Told): void {
    const run = operations[topicText(told)];
    if (run === undefined) return this.#parts.up.pass(told.entry, reason.topic);
    run.call(this, told);
  }

  tick(elapsed: number): void {
    const document = this.#latencies.take(elapsed);
    if (document === undefined) return;
    this.#parts.session.telemetry(Buffer.from(document)).catch((error: unknown) => {
      this.#wire.common.log.debug("latencies of a gateway not stored", { deviceId: this.#gatewayId, error });
    });
  }

  close(): void {
    this.#children.close();
  }

  get #codec(): GatewayCodec {
    return codecsOf(this.#parts.session.device).gateway;
  }

  get #gatewayId(): string {
    return this.#parts.session.device.deviceId;
  }

  connect(told: Told): void {
    const child = this.#codec.connect(told.payload);
    this.#settle(told, [this.#with(child, async () => {})]);
  }

  disconnect(told: Told): void {
    const name = this.#codec.disconnect(told.payload);
    this.#settle(told, [this.#children.disconnect(name)]);
  }

  telemetry(told: Told): void {
    const parts = this.#codec.telemetry(told.payload);
    const { world } = this.#wire.common;
    const at = { now: world.now(), elapsed: world.elapsed() };
    for (const { latencies } of parts) for (const latency of latencies ?? []) this.#latencies.add(latency, at);
    this.#values(told, parts, (session, document) => session.telemetry(document));
  }

  attributes(told: Told): void {
    const parts = this.#codec.attributes(told.payload);
    this.#values(told, parts, (session, document) => session.attributes(document));
  }

  claim(told: Told): void {
    const { onboarding } = this.#wire.common;
    this.#values(told, this.#codec.claims(told.payload), (session, document) => {
      session.spend();
      session.touch();
      return onboarding.openClaim(session.device, document, { signal: session.closed });
    });
  }

  /** Each device for itself: what is wrong with one does not keep the others' values. */
  #values(
    told: Told,
    parts: readonly ChildPart[],
    take: (session: Session, document: Uint8Array) => Promise<void>,
  ): void {
    const takes = parts.map(({ name, document, fault }) =>
      fault === undefined ? this.#with({ name }, (session) => take(session, document)) : Promise.reject(fault),
    );
    this.#settle(
      told,
      takes,
      parts.map(({ name }) => name),
    );
  }

  /** Acknowledged when it is asked; the answer follows. */
  attributesRequest(told: Told): void {
    const request = this.#codec.attributesRequest(told.payload);
    const { up, down } = this.#parts;
    let answer: Buffer | undefined;
    const read = this.#with({ name: request.name }, async (session) => {
      const reply = await session.readAttributes(wantedOf(request), { signal: session.closed });
      answer = this.#codec.attributesReply(request, reply);
    }).catch((error: unknown) => {
      const fault = asFault(error);
      if (fault.kind === "exhausted" || fault.code === "registry.limit") throw fault;
      throw new Fault("internal", "gateway.request", `attributes of a child not read: ${fault.message}`, {
        cause: fault,
      });
    });
    const run = this.#settle(told, [read]);
    void read.then(
      () => up.line.after(run, () => down.publish("gatewayAttributesResponse", answer as Buffer)),
      // Told by the acknowledgement.
      () => {},
    );
  }

  rpcReply(told: Told): void {
    const { name, id, reply } = this.#codec.rpcReply(told.payload);
    this.#settle(told, [this.#with({ name }, (session) => session.rpcReply(id, reply))]);
  }

  /** A call that fails at once fails like one that fails later. */
  async #with<R>(child: ChildName, run: (session: Session) => Promise<R>): Promise<R> {
    return this.#children.with(child, run);
  }

  /** One acknowledgement for all parts, when the last of them is done. */
  #settle(told: Told, takes: readonly Promise<unknown>[], names: readonly string[] = []) {
    const done = Promise.allSettled(takes).then((results) => {
      const failed = results.flatMap((result, i) =>
        result.status === "rejected" ? [{ fault: result.reason, i }] : [],
      );
      const fault = gravest(failed.map(({ fault }) => fault));
      if (fault === undefined) return;
      const quiet = packetIdOf(told.entry) === 0 && names.length > 1;
      if (fault.code === "gateway.limited" && quiet) this.#notice(failed.flatMap(({ i }) => names[i] ?? []));
      throw fault;
    });
    return this.#parts.up.line.wait(told.entry, done, told.payload.length);
  }

  /** Version 5: without an acknowledgement the gateway would not know whose message was refused. */
  #notice(names: readonly string[]): void {
    if (this.#wire.version !== 5) return;
    for (const name of names) {
      this.#parts.down.publish("gatewayDisconnect", this.#codec.disconnected(name, noticeReason.rate));
    }
  }
}

/** No names are all attributes of both scopes (device-api corrections, GW-30). */
function wantedOf({ keys, client }: ChildAttributesRequest) {
  if (keys.length === 0) return { client: "all", shared: "all" } as const;
  return client ? ({ client: keys, shared: "none" } as const) : ({ client: "none", shared: keys } as const);
}

const { connect, disconnect, telemetry, attributes, attributesRequest, rpcReply, claim } = Gateway.prototype;
/** Null-prototype, since topics come from outside. */
const operations: Readonly<Record<string, (this: Gateway, told: Told) => void>> = Object.assign(Object.create(null), {
  "v1/gateway/connect": connect,
  "v1/gateway/disconnect": disconnect,
  "v1/gateway/telemetry": telemetry,
  "v1/gateway/attributes": attributes,
  "v1/gateway/attributes/request": attributesRequest,
  "v1/gateway/rpc": rpcReply,
  "v1/gateway/claim": claim,
});
