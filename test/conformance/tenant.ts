import { randomBytes } from "node:crypto";
import { RestClient } from "../e2e/rest-client.ts";
import { patience, type Target } from "./target.ts";

const word = () => randomBytes(6).toString("hex");

export interface TestDevice {
  readonly id: string;
  readonly name: string;
  /** Empty when its credentials are of another kind. */
  readonly token: string;
}

export interface DeviceWish {
  readonly name?: string;
  /** `{ gateway: true }` and the like. */
  readonly additionalInfo?: object;
  readonly profileId?: string;
  /** `credentialsType`, `credentialsId`, `credentialsValue` in place of a token. */
  readonly credentials?: object;
  readonly more?: object;
}

/** Settings of some kind, which `type` names. */
export interface Settings {
  readonly type: string;
  readonly [setting: string]: unknown;
}

export type Scope = "CLIENT_SCOPE" | "SHARED_SCOPE" | "SERVER_SCOPE";

/** A tenant of its own for the rows of one file, and what they do to it through the REST API. */
export class TestTenant {
  readonly target: Target;
  readonly id: string;
  readonly system: RestClient;
  /** As the tenant's administrator. */
  readonly rest: RestClient;

  private constructor(target: Target, parts: { id: string; system: RestClient; rest: RestClient }) {
    this.target = target;
    this.id = parts.id;
    this.system = parts.system;
    this.rest = parts.rest;
  }

  static async create(target: Target): Promise<TestTenant> {
    const system = await RestClient.signIn(target.http, "sysadmin@thingsboard.org", "sysadmin");
    target.secret("JWT of the system administrator", system.token);
    const id = (await system.post("/api/tenant", { title: `Conformance ${word()}` })).id.id;
    const rest = await signInNew(target, system, { authority: "TENANT_ADMIN", tenantId: entity("TENANT", id) });
    return new TestTenant(target, { id, system, rest });
  }

  async device(wish: DeviceWish = {}): Promise<TestDevice> {
    const { name = `device ${word()}`, additionalInfo, profileId, credentials, more } = wish;
    const token = credentials === undefined ? this.target.secret("token of a device", word()) : "";
    const device = {
      name,
      ...(additionalInfo === undefined ? {} : { additionalInfo }),
      ...(profileId === undefined ? {} : { deviceProfileId: entity("DEVICE_PROFILE", profileId) }),
      ...more,
    };
    const stored = await this.rest.post("/api/device-with-credentials", {
      device,
      credentials: credentials ?? { credentialsType: "ACCESS_TOKEN", credentialsId: token },
    });
    return { id: stored.id.id, name, token };
  }

  gateway(additionalInfo: object = {}): Promise<TestDevice> {
    return this.device({ additionalInfo: { gateway: true, ...additionalInfo } });
  }

  deviceByName(name: string): Promise<any> {
    return this.rest.get(`/api/tenant/devices?deviceName=${encodeURIComponent(name)}`);
  }

  /** Returns the profile's id. */
  async profile(wish: {
    readonly transport?: Settings;
    readonly provision?: Settings;
    readonly provisionKey?: string;
    readonly more?: object;
  }): Promise<string> {
    const transportConfiguration = wish.transport ?? { type: "DEFAULT" };
    const provisionConfiguration = wish.provision ?? { type: "DISABLED" };
    this.target.secret("provision key", wish.provisionKey ?? "");
    this.target.secret("provision secret", String(provisionConfiguration["provisionDeviceSecret"] ?? ""));
    const stored = await this.rest.post("/api/deviceProfile", {
      name: `profile ${word()}`,
      type: "DEFAULT",
      transportType: transportConfiguration.type,
      provisionType: provisionConfiguration.type,
      provisionDeviceKey: wish.provisionKey ?? null,
      profileData: {
        configuration: { type: "DEFAULT" },
        transportConfiguration,
        provisionConfiguration,
      },
      ...wish.more,
    });
    return stored.id.id;
  }

  /** Signed in as a new user of a new customer. */
  async customer(): Promise<{ readonly id: string; readonly rest: RestClient }> {
    const id = (await this.rest.post("/api/customer", { title: `Customer ${word()}` })).id.id;
    const rest = await signInNew(this.target, this.rest, {
      authority: "CUSTOMER_USER",
      customerId: entity("CUSTOMER", id),
    });
    return { id, rest };
  }

  /** Latest values by key, with their types: `{ a: { ts, value } }`. */
  async latest(
    deviceId: string,
    keys: readonly string[] = [],
  ): Promise<Record<string, { ts: number; value: unknown }>> {
    const query = keys.length === 0 ? "" : `keys=${keys.map(encodeURIComponent).join(",")}&`;
    const path = `/api/plugins/telemetry/DEVICE/${deviceId}/values/timeseries?${query}useStrictDataTypes=true`;
    const found = (await this.rest.get(path)) as Record<string, { ts: number; value: unknown }[]>;
    return Object.fromEntries(Object.entries(found).map(([key, [newest]]) => [key, newest ?? { ts: 0, value: null }]));
  }

  /** All samples of one key from the beginning of time, oldest first. */
  async history(deviceId: string, key: string): Promise<{ ts: number; value: unknown }[]> {
    const range = `startTs=0&endTs=32503680000000&limit=50000&orderBy=ASC&useStrictDataTypes=true`;
    const path = `/api/plugins/telemetry/DEVICE/${deviceId}/values/timeseries?keys=${encodeURIComponent(key)}&${range}`;
    return (await this.rest.get(path))[key] ?? [];
  }

  async attributes(deviceId: string, scope: Scope): Promise<Record<string, unknown>> {
    const list = await this.rest.get(`/api/plugins/telemetry/DEVICE/${deviceId}/values/attributes/${scope}`);
    return Object.fromEntries((list as { key: string; value: unknown }[]).map(({ key, value }) => [key, value]));
  }

  async saveAttributes(deviceId: string, scope: Scope, values: object): Promise<void> {
    await this.rest.post(`/api/plugins/telemetry/DEVICE/${deviceId}/attributes/${scope}`, values);
  }

  async deleteAttributes(deviceId: string, scope: Scope, keys: readonly string[]): Promise<void> {
    await this.rest.delete(`/api/plugins/telemetry/DEVICE/${deviceId}/${scope}?keys=${keys.join(",")}`);
  }

  /** Types of the rule messages that the device has caused, in order. */
  eventsOf(deviceId: string): string[] {
    return this.target.witnessed(deviceId).map(({ type }) => type);
  }
}

export const entity = (entityType: string, id: string) => ({ entityType, id });

/** Reads until it holds; the error names what was read last. */
export async function eventually<T>(
  read: () => Promise<T> | T,
  holds: (value: T) => boolean,
  ms = 2 * patience,
): Promise<T> {
  for (const end = performance.now() + ms; ; ) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > end) throw new Error(`not within ${ms} ms; last: ${JSON.stringify(value)}`);
    await pause(50);
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function signInNew(target: Target, by: RestClient, user: object): Promise<RestClient> {
  const email = `${word()}@example.org`;
  const { id } = await by.post("/api/user?sendActivationMail=false", { email, ...user });
  const link = (await by.get(`/api/user/${id.id}/activationLink`)) as string;
  const activateToken = target.secret("activation token", new URL(link).searchParams.get("activateToken") ?? "");
  const password = target.secret("password of a user", word());
  await by.post("/api/noauth/activate?sendActivationMail=false", { activateToken, password });
  const rest = await RestClient.signIn(target.http, email, password);
  target.secret("JWT of a user", rest.token);
  return rest;
}
