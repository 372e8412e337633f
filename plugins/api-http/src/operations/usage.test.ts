import type { Principal } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import type { Exchange } from "../operation.ts";
import type { Services } from "../services.ts";
import { usageOperations } from "./usage.ts";

const tenantId = "1da6ae90-9d58-11ef-b1c2-0242ac120002";
/** Members of the schema `UsageInfo`. */
const fields = [
  ...["devices", "maxDevices", "assets", "maxAssets", "customers", "maxCustomers", "users", "maxUsers"],
  ...["dashboards", "maxDashboards", "edges", "maxEdges", "transportMessages", "maxTransportMessages"],
  ...["jsExecutions", "tbelExecutions", "maxJsExecutions", "maxTbelExecutions", "emails", "maxEmails"],
  ...["sms", "maxSms", "smsEnabled", "alarms", "maxAlarms"],
];

async function usageOf(configuration: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  /** Counts what is the tenant's alone. */
  const counting = (total: number) => ({
    find: async ({ where }: { where: object }) => ({ total: JSON.stringify(where).includes(tenantId) ? total : -1 }),
  });
  const found = (id: string, value: object) => ({
    get: async (asked: string) => (asked === id ? { value } : undefined),
  });
  const services = {
    directory: {
      tenants: found(tenantId, { tenantProfileId: "p" }),
      tenantProfiles: found("p", { profileData: { configuration } }),
      customers: counting(2),
      users: counting(3),
    },
    registry: { devices: counting(5) },
    usage: {
      usageOf: async (asked: string) => ({
        counts: { transportMessages: asked === tenantId ? 70 : -1, transportDataPoints: 90 },
      }),
    },
  } as unknown as Services;
  const [operation] = usageOperations(services);
  const exchange = { principal: { tenantId } as Principal, call: { signal: new AbortController().signal } };
  const answer = await operation?.run(exchange as Exchange);
  return answer?.json as Record<string, unknown>;
}

describe("GET /api/usage", () => {
  it("R-SYS-03 has every field of UsageInfo", async () => {
    const usage = await usageOf({});
    expect(Object.keys(usage).sort()).toEqual([...fields].sort());
    const { smsEnabled, ...numbers } = usage;
    expect(smsEnabled).toBe(true);
    for (const value of Object.values(numbers)) expect(value).toEqual(expect.any(Number));
  });

  it("puts what the tenant has beside what its profile allows", async () => {
    const configuration = { maxDevices: 9, maxTransportMessages: 100, maxJSExecutions: 8, maxCreatedAlarms: 7 };
    expect(await usageOf({ ...configuration, smsEnabled: false })).toMatchObject({
      ...{ devices: 5, maxDevices: 9, customers: 2, users: 3, transportMessages: 70, maxTransportMessages: 100 },
      ...{ maxJsExecutions: 8, maxAlarms: 7, maxUsers: 0, smsEnabled: false },
    });
  });
});
