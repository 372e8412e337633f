import {
  type Collection,
  type CollectionSpec,
  type CustomerDocument,
  customerCollection,
  type DeviceDocument,
  type DeviceProfileDocument,
  deviceCollection,
  deviceProfileCollection,
  type EntityStore,
  nullId,
  type Principal,
  type Query,
  type TenantDocument,
  type TenantProfileDocument,
  tenantCollection,
  tenantProfileCollection,
  type UserDocument,
  userCollection,
} from "@heddle/plugin-sdk";

type Where = NonNullable<Query["where"]>;
export type Document = { readonly id: string; readonly createdTime: number } & Readonly<Record<string, unknown>>;

/** One kind of entities: where it is stored, who sees which, and what its fields are called (rest-semantics 10.5, 10.11). */
export interface Source {
  readonly entityType: string;
  readonly documents: Collection<Document>;
  /** Member that holds the name. */
  readonly name: string;
  /** Undefined: the caller sees none. */
  visible(who: Principal): Where | undefined;
  /** Fields that are members of the document under the same name. */
  readonly fields: readonly string[];
  tenantOf(document: Document): string;
}

const contact = ["country", "state", "city", "address", "address2", "zip", "phone", "email", "additionalInfo"];

export function sourcesOf(entities: EntityStore): ReadonlyMap<string, Source> {
  const make = <T extends object>(
    entityType: string,
    spec: CollectionSpec<T>,
    rest: Omit<Source, "entityType" | "documents" | "tenantOf"> & Partial<Pick<Source, "tenantOf">>,
  ): Source => ({
    tenantOf: (document) => (document["tenantId"] as string | undefined) ?? nullId,
    ...rest,
    entityType,
    documents: entities.collection(spec) as unknown as Collection<Document>,
  });
  const ofTenant = ({ authority, tenantId }: Principal): Where | undefined =>
    authority === "SYS_ADMIN" ? {} : authority === "TENANT_ADMIN" ? { tenantId } : undefined;
  const ofCustomer = (who: Principal): Where | undefined =>
    who.authority === "CUSTOMER_USER" ? { tenantId: who.tenantId, customerId: who.customerId } : ofTenant(who);
  const all = [
    make<DeviceDocument>("DEVICE", deviceCollection, {
      name: "name",
      fields: ["name", "type", "label", "customerId", "additionalInfo"],
      visible: ofCustomer,
    }),
    make<CustomerDocument>("CUSTOMER", customerCollection, {
      name: "title",
      fields: ["title", ...contact],
      visible: (who) => (who.authority === "CUSTOMER_USER" ? { id: who.customerId } : ofTenant(who)),
    }),
    make<UserDocument>("USER", userCollection, {
      name: "email",
      fields: ["email", "firstName", "lastName", "phone", "additionalInfo"],
      visible: ofCustomer,
    }),
    make<TenantDocument>("TENANT", tenantCollection, {
      name: "title",
      fields: ["title", "region", ...contact],
      visible: ({ authority, tenantId }) =>
        authority === "SYS_ADMIN" ? {} : authority === "TENANT_ADMIN" ? { id: tenantId } : undefined,
      tenantOf: ({ id }) => id,
    }),
    make<DeviceProfileDocument>("DEVICE_PROFILE", deviceProfileCollection, {
      name: "name",
      fields: ["name", "type"],
      visible: (who) => (who.authority === "SYS_ADMIN" ? undefined : ofTenant(who)),
    }),
    make<TenantProfileDocument>("TENANT_PROFILE", tenantProfileCollection, {
      name: "name",
      fields: ["name"],
      visible: ({ authority }) => (authority === "SYS_ADMIN" ? {} : undefined),
    }),
  ];
  return new Map(all.map((source) => [source.entityType, source]));
}
