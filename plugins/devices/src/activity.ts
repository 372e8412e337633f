import {
  type AttributeStore,
  type Log,
  numberOf,
  type Telemetry,
  type TimeseriesStore,
  type Value,
  type World,
} from "@heddle/plugin-sdk";

const scope = "SERVER_SCOPE";
const keys = [
  "active",
  "lastConnectTime",
  "lastDisconnectTime",
  "lastActivityTime",
  "inactivityAlarmTime",
  "inactivityTimeout",
];

export interface ActivityOptions {
  readonly world: World;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
  readonly telemetry: Telemetry;
  readonly tenantId: string;
  readonly deviceId: string;
  readonly defaultTimeoutMs: number;
  /** Kept as time series in place of server attributes (device-api 7.1). */
  readonly asSeries: boolean;
  /** Body of the rule message of that type (device-api 7.2). */
  emit(type: string, body: Readonly<Record<string, unknown>>): void;
  /** Became active or inactive. */
  turned(active: boolean): void;
}

/** Whether a device is alive, as server attributes and rule messages tell it (device-api 7). */
export class Activity {
  readonly #options: ActivityOptions;
  #active = false;
  #lastConnect = 0;
  #lastDisconnect = 0;
  #lastActivity = 0;
  #alarm = 0;
  #timeoutMs: number;
  #check: Disposable | undefined;

  constructor(options: ActivityOptions) {
    this.#options = options;
    this.#timeoutMs = options.defaultTimeoutMs;
  }

  get active(): boolean {
    return this.#active;
  }

  async load(): Promise<void> {
    const stored = await this.#stored();
    const time = (key: string) => numberOf(stored.get(key) ?? 0) ?? 0;
    this.#active = stored.get("active") === true;
    this.#lastConnect = time("lastConnectTime");
    this.#lastDisconnect = time("lastDisconnectTime");
    this.#lastActivity = time("lastActivityTime");
    this.#alarm = time("inactivityAlarmTime");
    this.#timeoutFrom(stored.get("inactivityTimeout"));
    this.#plan();
  }

  async #stored(): Promise<Map<string, Value>> {
    const { attributes, series, asSeries, deviceId, signal } = this.#options;
    const entity = { entityType: "DEVICE", id: deviceId };
    const found = await attributes.get(entity, scope, keys, { signal });
    const stored = new Map(found.map(({ key, value }) => [key, value]));
    if (!asSeries) return stored;
    for (const { key, value } of await series.latest(entity, keys, { signal })) stored.set(key, value);
    return stored;
  }

  connected(ts: number): void {
    if (ts <= this.#lastConnect) return;
    this.#lastConnect = ts;
    const { active: _, ...body } = this.#body();
    this.#save({ lastConnectTime: ts });
    this.#options.emit("CONNECT_EVENT", body);
    this.heard(ts);
  }

  /** `active` stays as it is: silence decides, not the connection. */
  disconnected(ts: number): void {
    if (ts <= this.#lastDisconnect) return;
    this.#lastDisconnect = ts;
    this.#save({ lastDisconnectTime: ts });
    this.#options.emit("DISCONNECT_EVENT", this.#body());
  }

  heard(ts: number): void {
    if (ts <= this.#lastActivity) return;
    this.#lastActivity = ts;
    const wasActive = this.#active;
    const values: Record<string, Value> = { lastActivityTime: ts };
    if (!wasActive) {
      this.#active = true;
      values["active"] = true;
      if (this.#alarm > 0 && ts <= this.#alarm) this.#alarm = values["inactivityAlarmTime"] = 0;
    }
    this.#save(values);
    if (wasActive) return;
    this.#options.turned(true);
    this.#options.emit("ACTIVITY_EVENT", this.#body());
    this.#plan();
  }

  /** A user changed `inactivityTimeout`; undefined when it was removed. */
  timeoutChanged(value: Value | undefined): void {
    this.#timeoutFrom(value);
    const { world } = this.#options;
    if (!this.#active && this.#lastActivity > 0 && world.now() < this.#lastActivity + this.#timeoutMs) {
      this.#active = true;
      this.#save({ active: true });
      this.#options.turned(true);
      this.#options.emit("ACTIVITY_EVENT", this.#body());
    }
    this.#plan();
  }

  end(): void {
    this.#check?.[Symbol.dispose]();
  }

  #timeoutFrom(value: Value | undefined): void {
    const ms = value === undefined ? 0 : (numberOf(value) ?? 0);
    this.#timeoutMs = ms > 0 ? ms : this.#options.defaultTimeoutMs;
  }

  #plan(): void {
    this.#check?.[Symbol.dispose]();
    this.#check = undefined;
    if (!this.#active) return;
    const wait = Math.max(0, this.#lastActivity + this.#timeoutMs - this.#options.world.now());
    this.#check = this.#options.world.timer(Math.max(wait, 1), () => this.#silent());
  }

  #silent(): void {
    const now = this.#options.world.now();
    if (now < this.#lastActivity + this.#timeoutMs) return this.#plan();
    this.#active = false;
    this.#alarm = now;
    this.#save({ inactivityAlarmTime: now, active: false });
    this.#options.turned(false);
    this.#options.emit("INACTIVITY_EVENT", this.#body());
  }

  #body(): Record<string, unknown> {
    return {
      active: this.#active,
      lastConnectTime: this.#lastConnect,
      lastActivityTime: this.#lastActivity,
      lastDisconnectTime: this.#lastDisconnect,
      lastInactivityAlarmTime: this.#alarm,
      inactivityTimeout: this.#timeoutMs,
    };
  }

  #save(values: Record<string, Value>): void {
    const { telemetry, tenantId, deviceId, signal, log, world, asSeries } = this.#options;
    const entity = { entityType: "DEVICE", id: deviceId };
    const ts = world.now();
    const saved = asSeries
      ? telemetry.save(tenantId, [{ entity, ts, values }], { signal })
      : telemetry.saveAttributes({ tenantId, entity, scope, values, notifyDevice: false }, { signal });
    saved.catch((error) => log.warn("activity of a device not stored", { deviceId, error }));
  }
}
