import {
  type CredentialsDraft,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type Draft,
  deviceCredentialsView,
  deviceView,
  invalid,
  type Principal,
  type Static,
  Type,
} from "@heddle/plugin-sdk";
import { customerFor, deviceFor } from "../access.ts";
import { forbidden, notFound, type Operation, operation, tenantAndCustomer, tenantOnly } from "../operation.ts";
import {
  AnyObject,
  Common,
  ConflictQuery,
  conflictOf,
  draftId,
  idOf,
  Maybe,
  MaybeRef,
  MaybeText,
  present,
} from "../schemas.ts";
import type { Services } from "../services.ts";

const Device = Type.Object({
  ...Common,
  customerId: MaybeRef,
  name: MaybeText,
  type: MaybeText,
  label: MaybeText,
  deviceProfileId: MaybeRef,
  deviceData: Maybe(AnyObject),
  firmwareId: MaybeRef,
  softwareId: MaybeRef,
  externalId: MaybeRef,
});
const credentialsType = Type.Union([
  Type.Literal("ACCESS_TOKEN"),
  Type.Literal("MQTT_BASIC"),
  Type.Literal("X509_CERTIFICATE"),
  Type.Literal("LWM2M_CREDENTIALS"),
]);
const Credentials = Type.Object({
  id: Maybe(Type.Object({ id: Type.String() })),
  version: Maybe(Type.Integer()),
  deviceId: MaybeRef,
  credentialsType: Maybe(credentialsType),
  credentialsId: Maybe(Type.String({ maxLength: 255 })),
  credentialsValue: MaybeText,
});
const WithCredentials = Type.Object({ device: Maybe(Device), credentials: Maybe(Credentials) });
const createQuery = Type.Composite([
  ConflictQuery,
  Type.Object({ accessToken: Type.Optional(Type.String({ maxLength: 255 })) }),
]);

function draftOf({
  id,
  customerId,
  deviceProfileId,
  firmwareId,
  softwareId,
  externalId,
  ...rest
}: Static<typeof Device>): Draft<DeviceDocument> {
  const profile = idOf(deviceProfileId);
  return {
    ...present(rest),
    ...draftId(id),
    customerId: idOf(customerId),
    firmwareId: idOf(firmwareId),
    softwareId: idOf(softwareId),
    externalId: idOf(externalId),
    ...(profile === null ? {} : { deviceProfileId: profile }),
  };
}

function credentialsOf({ id, deviceId, ...rest }: Static<typeof Credentials>): CredentialsDraft {
  const device = idOf(deviceId);
  return {
    ...(present(rest) as Partial<DeviceCredentialsDocument>),
    ...draftId(id),
    ...(device === null ? {} : { deviceId: device }),
  };
}

/** One device: its content, credentials and assignment (rest-semantics 15). */
export function deviceOperations(services: Services): Operation[] {
  const { registry, directory, lifecycle } = services;
  const checkWrite = async (principal: Principal, draft: Draft<DeviceDocument>, call: { signal: AbortSignal }) => {
    if (draft.id === undefined) {
      if (principal.authority !== "TENANT_ADMIN") throw forbidden();
      return;
    }
    await deviceFor(services, { principal, id: draft.id, wanted: "write" }, call);
    // A customer user's devices stay with the customer (rest-semantics 3.10).
    if (principal.authority === "CUSTOMER_USER" && draft.customerId !== principal.customerId) throw forbidden();
  };
  return [
    operation({
      method: "POST",
      path: "/api/device",
      who: tenantAndCustomer,
      body: Device,
      query: createQuery,
      run: async ({ principal, body, query, call }) => {
        const device = draftOf(body);
        await checkWrite(principal, device, call);
        const { accessToken } = query;
        const credentials: CredentialsDraft = { credentialsType: "ACCESS_TOKEN", credentialsId: accessToken ?? null };
        const what = {
          tenantId: principal.tenantId,
          device,
          nameConflict: conflictOf(query),
          by: principal,
          ...(accessToken === undefined || accessToken === "" ? {} : { credentials }),
        };
        return { json: deviceView(await registry.save(what, call)) };
      },
    }),
    operation({
      method: "POST",
      path: "/api/device-with-credentials",
      who: tenantAndCustomer,
      body: WithCredentials,
      query: ConflictQuery,
      run: async ({ principal, body, query, call }) => {
        if (body.device === undefined || body.device === null)
          throw invalid("Validation error: device must not be null");
        if (body.credentials === undefined || body.credentials === null) {
          throw invalid("Validation error: credentials must not be null");
        }
        const device = draftOf(body.device);
        await checkWrite(principal, device, call);
        const { tenantId } = principal;
        const what = {
          tenantId,
          device,
          credentials: credentialsOf(body.credentials),
          nameConflict: conflictOf(query),
          by: principal,
        };
        return { json: deviceView(await registry.save(what, call)) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/device/:deviceId",
      who: tenantAndCustomer,
      run: async ({ principal, id, call }) => ({
        json: deviceView(await deviceFor(services, { principal, id: id("deviceId"), wanted: "read" }, call)),
      }),
    }),
    operation({
      method: "DELETE",
      path: "/api/device/:deviceId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "own" }, call);
        const entity = { entityType: "DEVICE", id: device.value.id };
        await lifecycle.remove({ tenantId: principal.tenantId, entity, by: principal }, call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/device/:deviceId/credentials",
      who: tenantAndCustomer,
      run: async ({ principal, id, call }) => {
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "read" }, call);
        const credentials = await registry.credentials(device.value.id, call);
        if (credentials === undefined) throw notFound("Device", device.value.id);
        return { json: deviceCredentialsView(credentials) };
      },
    }),
    operation({
      method: "POST",
      path: "/api/device/credentials",
      who: tenantOnly,
      body: Credentials,
      run: async ({ principal, body, call }) => {
        const credentials = credentialsOf(body);
        if (credentials.deviceId === undefined) throw invalid("Invalid entity id");
        await deviceFor(services, { principal, id: credentials.deviceId, wanted: "own" }, call);
        const what = { tenantId: principal.tenantId, credentials, by: principal };
        return { json: deviceCredentialsView(await registry.saveCredentials(what, call)) };
      },
    }),
    operation({
      method: "POST",
      path: "/api/customer/:customerId/device/:deviceId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const { tenantId } = principal;
        const customer = await customerFor(services, { principal, id: id("customerId"), wanted: "own" }, call);
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "own" }, call);
        const what = { tenantId, deviceId: device.value.id, customerId: customer.value.id, by: principal };
        return { json: deviceView(await registry.assign(what, call)) };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/customer/device/:deviceId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "own" }, call);
        const what = { tenantId: principal.tenantId, deviceId: device.value.id, customerId: null, by: principal };
        return { json: deviceView(await registry.assign(what, call)) };
      },
    }),
    operation({
      method: "POST",
      path: "/api/customer/public/device/:deviceId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const { tenantId } = principal;
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "own" }, call);
        const customer = await directory.publicCustomer(tenantId, call);
        const what = { tenantId, deviceId: device.value.id, customerId: customer.value.id, by: principal };
        return { json: deviceView(await registry.assign(what, call)) };
      },
    }),
    operation({
      method: "POST",
      path: "/api/tenant/:tenantId/device/:deviceId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "own" }, call);
        const to = id("tenantId");
        if ((await directory.tenants.get(to, call)) === undefined) throw notFound("Tenant", to);
        const what = { tenantId: principal.tenantId, deviceId: device.value.id, to, by: principal };
        return { json: deviceView(await registry.moveToTenant(what, call)) };
      },
    }),
  ];
}
