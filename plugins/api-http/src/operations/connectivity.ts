import { deviceFor } from "../access.ts";
import { connectCommands } from "../connect-commands.ts";
import { notFound, type Operation, operation, tenantAndCustomer } from "../operation.ts";
import type { Services } from "../services.ts";

/** How a device is tried (rest-semantics 15.12). */
export function connectivityOperations(services: Services): Operation[] {
  const { registry, connectivity } = services;
  return [
    operation({
      method: "GET",
      path: "/api/device-connectivity/:deviceId",
      who: tenantAndCustomer,
      run: async ({ principal, id, base, call }) => {
        const { value } = await deviceFor(services, { principal, id: id("deviceId"), wanted: "read" }, call);
        const [credentials, profile] = await Promise.all([
          registry.credentials(value.id, call),
          registry.profiles.get(value.deviceProfileId, call),
        ]);
        if (credentials === undefined) throw notFound("Device", value.id);
        const wiring = { credentials: credentials.value, profile: profile?.value, connectivity, base };
        return { json: connectCommands(wiring) };
      },
    }),
  ];
}
