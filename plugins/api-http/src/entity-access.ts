import {
  type CallOptions,
  type EntityId,
  invalid,
  isFault,
  type Principal,
  ruleChainCollection,
} from "@heddle/plugin-sdk";
import { customerFor, deviceFor, packageFor, profileFor, userFor, type Wanted } from "./access.ts";
import { forbidden, notFound, uuidOf } from "./operation.ts";
import type { Services } from "./services.ts";

/** An entity that the caller may see or change, and what others say of it. */
export interface Found {
  readonly entity: EntityId;
  readonly name: string;
  readonly customerId: string | null;
  readonly ruleChainId: string | null;
}

interface Asking {
  readonly principal: Principal;
  readonly id: string;
  readonly wanted: Wanted;
}

/** How messages call types that nothing keeps here: every id is unknown (rest-semantics 1.9). */
const absent: Readonly<Record<string, string>> = {
  ASSET: "Asset",
  ASSET_PROFILE: "Asset profile",
  DASHBOARD: "Dashboard",
  ALARM: "Alarm",
  RULE_NODE: "Rule node",
  ENTITY_VIEW: "Entity View",
  EDGE: "Edge",
  WIDGETS_BUNDLE: "Widgets bundle",
  WIDGET_TYPE: "Widget type",
  TENANT_PROFILE: "Tenant profile",
  TB_RESOURCE: "Resource",
  QUEUE: "Queue",
  NOTIFICATION_TARGET: "Notification target",
  CALCULATED_FIELD: "Calculated field",
};

/** Entities of any type, by the rules of access (rest-semantics 3.2–3.4). */
export class EntityAccess {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  async find(
    { entityType, id }: EntityId,
    { principal, wanted }: { readonly principal: Principal; readonly wanted: Wanted },
    call: CallOptions,
  ): Promise<Found> {
    const asking = { principal, wanted, id: uuidOf(id) };
    const found = await this.#named(entityType, asking, call);
    return { entity: { entityType, id: asking.id }, ...found };
  }

  /** Undefined for what the caller may not see, or what is gone. */
  async visible(entity: EntityId, principal: Principal, call: CallOptions): Promise<Found | undefined> {
    try {
      return await this.find(entity, { principal, wanted: "read" }, call);
    } catch (error) {
      if (isFault(error) && (error.kind === "missing" || error.kind === "denied")) return undefined;
      throw error;
    }
  }

  async #named(type: string, asking: Asking, call: CallOptions): Promise<Omit<Found, "entity">> {
    const plain = { customerId: null, ruleChainId: null };
    switch (type) {
      case "DEVICE":
        return this.#device(asking, call);
      case "CUSTOMER": {
        const { id, title } = (await customerFor(this.#services, asking, call)).value;
        return { ...plain, name: title, customerId: id };
      }
      case "USER":
        return { ...plain, name: (await userFor(this.#services, asking, call)).value.email };
      case "TENANT":
        return { ...plain, name: await this.#tenant(asking, call) };
      case "DEVICE_PROFILE":
        if (asking.principal.authority !== "TENANT_ADMIN" && asking.wanted !== "read") throw forbidden();
        return { ...plain, name: (await profileFor(this.#services, asking, call)).value.name };
      case "OTA_PACKAGE":
        return { ...plain, name: (await packageFor(this.#services, asking, call)).value.title };
      case "RULE_CHAIN":
        return { ...plain, name: await this.#chain(asking, call) };
    }
    const kind = absent[type];
    if (kind === undefined) throw invalid(`Unsupported entity type '${type.slice(0, 60)}'!`);
    throw notFound(kind, asking.id);
  }

  async #device(asking: Asking, call: CallOptions): Promise<Omit<Found, "entity">> {
    const { name, customerId, deviceProfileId } = (await deviceFor(this.#services, asking, call)).value;
    const profile = await this.#services.registry.profiles.get(deviceProfileId, call);
    return { name, customerId, ruleChainId: profile?.value.defaultRuleChainId ?? null };
  }

  /** For its administrators their own tenant counts as writable (rest-semantics 3.7). */
  async #tenant({ principal, id }: Asking, call: CallOptions): Promise<string> {
    const tenant = await this.#services.directory.tenants.get(id, call);
    if (tenant === undefined) throw notFound("Tenant", id);
    const own = principal.authority === "TENANT_ADMIN" && principal.tenantId === id;
    if (!own && principal.authority !== "SYS_ADMIN") throw forbidden();
    return tenant.value.title;
  }

  async #chain({ principal, id }: Asking, call: CallOptions): Promise<string> {
    const [chain] = await this.#services.entities.collection(ruleChainCollection).get([id], call);
    if (chain === undefined) throw notFound("Rule chain", id);
    if (principal.authority !== "TENANT_ADMIN" || chain.value.tenantId !== principal.tenantId) throw forbidden();
    return chain.value.name;
  }
}
