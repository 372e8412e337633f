import type {
  CallOptions,
  CustomerDocument,
  DeviceDocument,
  DeviceProfileDocument,
  OtaPackageDocument,
  Principal,
  Stored,
  UserDocument,
} from "@heddle/plugin-sdk";
import { forbidden, notFound } from "./operation.ts";
import type { Services } from "./services.ts";

/** What is asked of an entity (rest-semantics 3.2, as far as answers differ). */
export type Wanted = "read" | "write" | "own";

type Directory = Pick<Services, "directory">;
type Registry = Pick<Services, "registry">;

/** Of another tenant counts as absent (rest-semantics 3.3); `own` is what only the tenant's administrators may. */
export async function deviceFor(
  { registry }: Registry,
  what: { readonly principal: Principal; readonly id: string; readonly wanted: Wanted },
  call: CallOptions,
): Promise<Stored<DeviceDocument>> {
  const { principal, id, wanted } = what;
  const device = await registry.devices.get(id, call);
  if (device === undefined || device.value.tenantId !== principal.tenantId) throw notFound("Device", id);
  if (principal.authority === "TENANT_ADMIN") return device;
  if (principal.authority !== "CUSTOMER_USER" || wanted === "own") throw forbidden();
  if (device.value.customerId !== principal.customerId) throw forbidden();
  return device;
}

/** Customers of other tenants are forbidden; customer users see their own. */
export async function customerFor(
  { directory }: Directory,
  what: { readonly principal: Principal; readonly id: string; readonly wanted: Wanted },
  call: CallOptions,
): Promise<Stored<CustomerDocument>> {
  const { principal, id, wanted } = what;
  const customer = await directory.customers.get(id, call);
  if (customer === undefined) throw notFound("Customer", id);
  if (customer.value.tenantId !== principal.tenantId) throw forbidden();
  if (principal.authority === "TENANT_ADMIN") return customer;
  if (wanted !== "read" || principal.customerId !== id) throw forbidden();
  return customer;
}

export async function userFor(
  { directory }: Directory,
  what: { readonly principal: Principal; readonly id: string; readonly wanted: Wanted },
  call: CallOptions,
): Promise<Stored<UserDocument>> {
  const user = await directory.users.get(what.id, call);
  if (user === undefined) throw notFound("User", what.id);
  if (!mayUser(what.principal, user.value, what.wanted)) throw forbidden();
  return user;
}

/** System administrators care for administrators, tenants for their own users, customer users for themselves. */
export function mayUser(
  { authority, userId, tenantId, customerId }: Principal,
  user: Pick<UserDocument, "tenantId" | "customerId" | "authority"> & { readonly id?: string },
  wanted: Wanted,
): boolean {
  switch (authority) {
    case "SYS_ADMIN":
      return user.authority !== "CUSTOMER_USER";
    case "TENANT_ADMIN":
      return user.tenantId === tenantId && user.authority !== "SYS_ADMIN";
    case "CUSTOMER_USER":
      if (wanted === "own" || user.tenantId !== tenantId) return false;
      return user.id === userId || (wanted === "read" && user.customerId === customerId);
  }
}

export async function profileFor(
  { registry }: Registry,
  what: { readonly principal: Principal; readonly id: string },
  call: CallOptions,
): Promise<Stored<DeviceProfileDocument>> {
  const profile = await registry.profiles.get(what.id, call);
  if (profile === undefined) throw notFound("Device profile", what.id);
  if (profile.value.tenantId !== what.principal.tenantId) throw forbidden();
  return profile;
}

/** Packages are the business of tenant administrators (rest-semantics 3.4). */
export async function packageFor(
  { packages }: Pick<Services, "packages">,
  what: { readonly principal: Principal; readonly id: string },
  call: CallOptions,
): Promise<Stored<OtaPackageDocument>> {
  const found = await packages.packages.get(what.id, call);
  if (found === undefined) throw notFound("Ota package", what.id);
  const { authority, tenantId } = what.principal;
  if (authority !== "TENANT_ADMIN" || found.value.tenantId !== tenantId) throw forbidden();
  return found;
}
