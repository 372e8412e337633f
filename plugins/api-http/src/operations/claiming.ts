import { deviceView, Type } from "@heddle/plugin-sdk";
import { type Exchange, forbidden, nothingFound, type Operation, operation, tenantAndCustomer } from "../operation.ts";
import { MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const Claim = Type.Object({ secretKey: MaybeText });
const path = "/api/customer/device/:deviceName/claim";

/** Devices that customers take over (rest-semantics 15.4). */
export function claimOperations({ claims, registry }: Services): Operation[] {
  const byName = async ({ principal: { tenantId }, param, call }: Exchange) => {
    const where = { tenantId, name: param("deviceName") };
    const [device] = (await registry.devices.find({ where, limit: 1 }, call)).items;
    if (device === undefined) throw nothingFound();
    return device;
  };
  return [
    operation({
      method: "POST",
      path,
      who: ["CUSTOMER_USER"],
      body: Claim,
      emptyBody: {},
      run: async ({ principal, param, body, call }) => {
        const { tenantId, customerId } = principal;
        const deviceName = param("deviceName");
        const secretKey = body.secretKey ?? "";
        const outcome = await claims.claim({ tenantId, customerId, deviceName, secretKey, by: principal }, call);
        if (outcome.response !== "SUCCESS") return { status: 400, json: outcome.response };
        return { json: { device: deviceView(outcome.device), response: outcome.response } };
      },
    }),
    operation({
      method: "DELETE",
      path,
      who: tenantAndCustomer,
      run: async (exchange) => {
        const { principal, call } = exchange;
        const { id, customerId } = (await byName(exchange)).value;
        // Who has no device has nothing to give back; somebody else's is not theirs to give.
        const others = customerId !== null && customerId !== principal.customerId;
        if (principal.authority === "CUSTOMER_USER" && others) throw forbidden();
        await claims.reclaim({ tenantId: principal.tenantId, deviceId: id, by: principal }, call);
        return undefined;
      },
    }),
  ];
}
