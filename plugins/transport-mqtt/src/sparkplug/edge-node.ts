import {
  readSparkplug,
  readSparkplugTopic,
  type SparkplugPayload,
  type SparkplugTopic,
  writeSparkplug,
} from "@heddle/payload-codec";
import {
  asFault,
  type CallOptions,
  type Downlinks,
  Fault,
  invalid,
  type Plain,
  type RpcRequest,
  readTypedJson,
  type Session,
  type Value,
} from "@heddle/plugin-sdk";
import type { Downstream } from "../downstream.ts";
import { Children } from "../gateway/children.ts";
import { gravest } from "../gateway/outcomes.ts";
import { reason } from "../reasons.ts";
import type { Told } from "../told.ts";
import type { Upstream } from "../upstream.ts";
import type { Wire } from "../wire.ts";
import { Birth } from "./birth.ts";
import { attributeMatcher, valuesOf } from "./values.ts";

interface Parts {
  readonly session: Session;
  readonly up: Upstream;
  readonly down: Downstream;
  /** The will of the CONNECT. */
  readonly death: { readonly topic: SparkplugTopic; readonly payload: Buffer };
}

const stateKey = "sparkplugConnectionState";
const online = { [stateKey]: '"ONLINE"' };
const offline = `{"${stateKey}":"OFFLINE"}`;

/** An edge node of Sparkplug B and the devices behind it (device-api 2.14 with its corrections). */
export class EdgeNode implements Downlinks {
  readonly #wire: Wire;
  readonly #parts: Parts;
  readonly #children: Children;
  readonly #birth = new Birth();
  readonly #births = new Map<string, Birth>();
  #bdSeq: string | undefined;
  #dead = false;

  constructor(wire: Wire, parts: Parts) {
    this.#wire = wire;
    this.#parts = parts;
    this.#children = new Children(wire, { session: parts.session, downlinks: (name) => this.#downlinksOf(name) });
    this.#tellWill();
  }

  /** False when the topic is none of Sparkplug's. */
  tell(told: Told, text: string): boolean {
    const topic = readSparkplugTopic(text);
    if (topic === undefined) return false;
    const { group, node } = this.#parts.death.topic;
    if (topic.group !== group || topic.node !== node || topic.type === "NCMD" || topic.type === "DCMD") {
      this.#parts.up.pass(told.entry, reason.topic);
      return true;
    }
    const birth = this.#birthOf(topic);
    const payload = readSparkplug(told.payload, (metric) => birth.datatypeOf(birth.nameOf(metric)));
    const run = topic.device === undefined ? this.#node(topic, payload) : this.#device(topic, topic.device, payload);
    const done = run.catch((error: unknown) => {
      throw gravest([error]) ?? asFault(error);
    });
    this.#parts.up.line.wait(told.entry, done, told.payload.length);
    return true;
  }

  /** A filter for commands to this node or its devices. */
  takes(filter: string): boolean {
    const [namespace, group, type, node] = filter.split("/");
    const own = this.#parts.death.topic;
    const fits = (level: string | undefined, is: string) => level === "+" || level === is;
    if (namespace !== "spBv1.0" || !fits(group, own.group)) return false;
    return (
      type === "#" || ((type === "NCMD" || type === "DCMD" || type === "+") && (node === "#" || fits(node, own.node)))
    );
  }

  async deliverAttributes(json: string, call: CallOptions): Promise<void> {
    await this.#update(this.#birth, this.#commandTopic("NCMD"), json, call);
  }

  async deliverRpc(request: RpcRequest, call: CallOptions): Promise<void> {
    const { session } = this.#parts;
    await this.#command(
      request,
      { session, birth: this.#birth, topic: this.#commandTopic("NCMD"), type: "NCMD" },
      call,
    );
  }

  /** The connection has ended: so have the node and its devices. */
  close(): void {
    this.#die();
    this.#children.close();
  }

  get #isAttribute(): (name: string) => boolean {
    return attributeMatcher(this.#parts.session.device.transport["sparkplugAttributesMetricNames"]);
  }

  #birthOf({ device }: SparkplugTopic): Birth {
    if (device === undefined) return this.#birth;
    let birth = this.#births.get(device);
    if (birth === undefined) {
      birth = new Birth();
      if (this.#births.size < this.#wire.common.limits.children) this.#births.set(device, birth);
    }
    return birth;
  }

  async #node(topic: SparkplugTopic, payload: SparkplugPayload): Promise<void> {
    const { session } = this.#parts;
    if (topic.type === "NDEATH") {
      const { bdSeq } = this.#read(topic, payload, this.#birth);
      // A death of an earlier birth says nothing of this one.
      if (this.#bdSeq === undefined || bdSeq === this.#bdSeq) this.#die();
      return;
    }
    const born = topic.type === "NBIRTH";
    if (born) {
      this.#birth.announce(payload);
      this.#dead = false;
    }
    const told = this.#read(topic, payload, this.#birth, born ? online : {});
    if (born) this.#bdSeq = told.bdSeq;
    await this.#store(session, told);
  }

  async #device(topic: SparkplugTopic, name: string, payload: SparkplugPayload): Promise<void> {
    const birth = this.#birthOf(topic);
    if (topic.type === "DDEATH") {
      await this.#with(name, (session) => session.telemetry(Buffer.from(offline)));
      await this.#children.disconnect(name);
      return;
    }
    const born = topic.type === "DBIRTH";
    if (born) birth.announce(payload);
    const seq = payload.seq === undefined ? {} : { "DBIRTH seq": String(payload.seq) };
    const told = this.#read(topic, payload, birth, born ? { ...online, ...seq } : {});
    await this.#with(name, (session) => this.#store(session, told));
  }

  #with<R>(name: string, run: (session: Session) => Promise<R>): Promise<R> {
    return this.#children.with({ name, type: `${this.#parts.session.device.deviceType} device` }, run);
  }

  #read(topic: SparkplugTopic, payload: SparkplugPayload, birth: Birth, extra: Readonly<Record<string, string>> = {}) {
    return valuesOf(payload, { type: topic.type, birth, isAttribute: this.#isAttribute }, extra);
  }

  async #store(session: Session, { telemetry, attributes }: ReturnType<typeof valuesOf>): Promise<void> {
    const saves: Promise<void>[] = [];
    if (telemetry !== undefined) saves.push(session.telemetry(Buffer.from(telemetry)));
    if (attributes.size > 0) saves.push(this.#saveShared(session, attributes));
    if (saves.length === 0) session.touch();
    await Promise.all(saves);
  }

  #saveShared({ device, closed }: Session, attributes: ReadonlyMap<string, string>): Promise<void> {
    const values = Object.fromEntries(
      [...attributes].map(([name, json]) => [name, readTypedJson(json) as Value] as const),
    );
    const entity = { entityType: "DEVICE", id: device.deviceId };
    const write = { tenantId: device.tenantId, entity, scope: "SHARED_SCOPE" as const, values, notifyDevice: false };
    return this.#wire.common.telemetry.saveAttributes(write, { signal: closed });
  }

  /** The will carries the number of the death that belongs to the coming birth. */
  #tellWill(): void {
    const { death, session } = this.#parts;
    try {
      const told = this.#read(
        death.topic,
        readSparkplug(death.payload, () => undefined),
        this.#birth,
      );
      if (told.telemetry === undefined) return;
      session.telemetry(Buffer.from(told.telemetry)).catch((error: unknown) => this.#unsaid(error));
    } catch (error) {
      this.#unsaid(error);
    }
  }

  /** Told by visits: the sessions have ended, or will before this is durable. */
  #die(): void {
    if (this.#dead) return;
    this.#dead = true;
    const { sessions } = this.#wire.common;
    for (const device of [this.#parts.session.device, ...this.#children.connected.map((session) => session.device)]) {
      sessions
        .visit(device)
        .telemetry(Buffer.from(offline))
        .catch((error: unknown) => this.#unsaid(error));
    }
  }

  #unsaid(error: unknown): void {
    this.#wire.common.log.debug("state of an edge node not stored", {
      deviceId: this.#parts.session.device.deviceId,
      error,
    });
  }

  #downlinksOf(name: string): Downlinks {
    const birth = () => this.#births.get(name) ?? new Birth();
    const topic = this.#commandTopic("DCMD", name);
    return {
      deliverAttributes: (json, call) => this.#update(birth(), topic, json, call),
      deliverRpc: (request, call) =>
        this.#with(name, (session) => this.#command(request, { session, birth: birth(), topic, type: "DCMD" }, call)),
    };
  }

  #commandTopic(type: "NCMD" | "DCMD", device?: string): string {
    const { group, node } = this.#parts.death.topic;
    return `spBv1.0/${group}/${type}/${node}${device === undefined ? "" : `/${device}`}`;
  }

  /** Metrics that were announced go down as they were typed; others are nothing that the node could take. */
  async #update(birth: Birth, topic: string, json: string, { signal }: CallOptions): Promise<void> {
    const changed = readTypedJson(json) as Readonly<Record<string, Plain>>;
    for (const [name, value] of Object.entries(changed)) {
      const datatype = birth.datatypeOf(name);
      if (datatype === undefined) continue;
      const bytes = writeSparkplug({ name, datatype, value }, this.#wire.common.world.now());
      await this.#parts.down.deliver("sparkplugCommand", bytes, { signal, confirm: false, topic });
    }
  }

  async #command(
    { requestId, method, params }: RpcRequest,
    to: { readonly session: Session; readonly birth: Birth; readonly topic: string; readonly type: string },
    { signal }: CallOptions,
  ): Promise<void> {
    const answer = (reply: object) => to.session.rpcReply(requestId, Buffer.from(JSON.stringify(reply)));
    try {
      const bytes = this.#commandBytes(method, params, to);
      await this.#parts.down.deliver("sparkplugCommand", bytes, { signal, confirm: true, topic: to.topic });
    } catch (error) {
      const fault = asFault(error);
      if (fault.kind !== "invalid") throw error;
      await answer({
        result: fault.code === "gateway.method" ? "METHOD_NOT_ALLOWED" : "BAD_REQUEST",
        error: fault.message,
      });
      return;
    }
    await answer({ result: `Success: ${to.type}` });
  }

  #commandBytes(
    method: string,
    params: string,
    { birth, type }: { readonly birth: Birth; readonly type: string },
  ): Buffer {
    if (method !== type) throw new Fault("invalid", "gateway.method", `Unsupported method: ${method.slice(0, 40)}`);
    const { metricName, value } = (readTypedJson(params) ?? {}) as { metricName?: Plain; value?: Plain };
    if (typeof metricName !== "string" || value === undefined) throw invalid("params have `metricName` and `value`");
    const datatype = birth.datatypeOf(metricName);
    if (datatype === undefined) throw invalid(`the metric ${metricName.slice(0, 100)} was not announced at birth`);
    return writeSparkplug({ name: metricName, datatype, value }, this.#wire.common.world.now());
  }
}
