import {
  type CallOptions,
  type EntityId,
  Fault,
  type Principal,
  type RuleChainDocument,
  ruleChainCollection,
} from "@heddle/plugin-sdk";
import { mayUser } from "./access.ts";
import { plainFault, uuidOf } from "./operation.ts";
import type { Services } from "./services.ts";

/** An entity whose telemetry the caller may read or write, and what rule messages say of it. */
export interface Subject {
  readonly tenantId: string;
  readonly entity: EntityId;
  readonly name: string;
  readonly customerId: string | null;
  readonly ruleChainId: string | null;
}

export type Access = "read" | "write";

interface Asking {
  readonly principal: Principal;
  readonly id: string;
  readonly access: Access;
}

const noPermission = "You don't have permission to perform this operation!";
const notForSystem = "System administrator is not allowed to perform this operation!";
const notForCustomers = "Customer user is not allowed to perform this operation!";

/** Types that the rules of access know but that nothing keeps yet: every id is unknown. */
const absent: Readonly<Record<string, string>> = {
  ASSET: "Asset",
  ENTITY_VIEW: "Entity-view",
  ASSET_PROFILE: "Asset profile",
  EDGE: "Edge",
};

/** Finds entities by type for telemetry and RPC, which refuse in plain text (rest-semantics 3.8, 4.6). */
export class TelemetryAccess {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  async subject(
    type: string,
    what: { readonly principal: Principal; readonly id: string; readonly access: Access },
    call: CallOptions,
  ): Promise<Subject> {
    const asking = { ...what, id: uuidOf(what.id) };
    switch (type) {
      case "DEVICE":
        return this.device(asking, call);
      case "CUSTOMER":
        return this.#customer(asking, call);
      case "TENANT":
        return this.#tenant(asking, call);
      case "USER":
        return this.#user(asking, call);
      case "DEVICE_PROFILE":
        return this.#profile(asking, call);
      case "RULE_CHAIN":
        return this.#chain(asking, call);
    }
    const name = absent[type];
    if (name === undefined)
      throw new Fault("invalid", "api.entity-type", `Entity type '${type.slice(0, 60)}' is not supported here`);
    if (what.principal.authority === "SYS_ADMIN") throw plainFault("denied", notForSystem);
    throw unknown(name);
  }

  async device({ principal, id }: Asking, call: CallOptions): Promise<Subject> {
    if (principal.authority === "SYS_ADMIN") throw plainFault("denied", notForSystem);
    const { registry } = this.#services;
    const device = (await registry.devices.get(id, call))?.value;
    if (device?.tenantId !== principal.tenantId) throw unknown("Device");
    if (principal.authority === "CUSTOMER_USER" && device.customerId !== principal.customerId) {
      throw plainFault("denied", noPermission);
    }
    const profile = await registry.profiles.get(device.deviceProfileId, call);
    const ruleChainId = profile?.value.defaultRuleChainId ?? null;
    const { tenantId, name, customerId } = device;
    return { tenantId, entity: { entityType: "DEVICE", id }, name, customerId, ruleChainId };
  }

  async #customer({ principal, id, access }: Asking, call: CallOptions): Promise<Subject> {
    if (principal.authority === "SYS_ADMIN") throw plainFault("denied", notForSystem);
    const customer = (await this.#services.directory.customers.get(id, call))?.value;
    if (customer?.tenantId !== principal.tenantId) throw unknown("Customer");
    if (principal.authority === "CUSTOMER_USER" && (id !== principal.customerId || access === "write")) {
      throw plainFault("denied", noPermission);
    }
    return { ...plain(customer.tenantId, "CUSTOMER", id), name: customer.title, customerId: id };
  }

  async #tenant({ principal, id, access }: Asking, call: CallOptions): Promise<Subject> {
    if (principal.authority === "CUSTOMER_USER") throw plainFault("denied", notForCustomers);
    const tenant = (await this.#services.directory.tenants.get(id, call))?.value;
    if (tenant === undefined) throw unknown("Tenant");
    if (principal.authority === "TENANT_ADMIN" && (id !== principal.tenantId || access === "write")) {
      throw plainFault("denied", noPermission);
    }
    return { ...plain(id, "TENANT", id), name: tenant.title };
  }

  async #user({ principal, id, access }: Asking, call: CallOptions): Promise<Subject> {
    const user = (await this.#services.directory.users.get(id, call))?.value;
    if (user === undefined) throw unknown("User");
    if (!mayUser(principal, user, access)) throw plainFault("denied", noPermission);
    return { ...plain(user.tenantId, "USER", id), name: user.email };
  }

  async #profile({ principal, id }: Asking, call: CallOptions): Promise<Subject> {
    if (principal.authority === "SYS_ADMIN") throw plainFault("denied", notForSystem);
    if (principal.authority === "CUSTOMER_USER") throw plainFault("denied", notForCustomers);
    const profile = (await this.#services.registry.profiles.get(id, call))?.value;
    if (profile?.tenantId !== principal.tenantId) throw unknown("Device profile");
    return { ...plain(profile.tenantId, "DEVICE_PROFILE", id), name: profile.name };
  }

  async #chain({ principal, id }: Asking, call: CallOptions): Promise<Subject> {
    if (principal.authority === "CUSTOMER_USER") throw plainFault("denied", notForCustomers);
    const chains = this.#services.entities.collection<RuleChainDocument>(ruleChainCollection);
    const chain = (await chains.get([id], call))[0]?.value;
    if (chain?.tenantId !== principal.tenantId) throw unknown("Rule chain");
    return { ...plain(chain.tenantId, "RULE_CHAIN", id), name: chain.name };
  }
}

function plain(tenantId: string, entityType: string, id: string): Omit<Subject, "name"> {
  return { tenantId, entity: { entityType, id }, customerId: null, ruleChainId: null };
}

function unknown(name: string): Fault {
  return plainFault("missing", `${name} with requested id wasn't found!`);
}
