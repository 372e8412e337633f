import { type Operation, operation, tenantOnly } from "../operation.ts";
import type { Services } from "../services.ts";

/** What a tenant has, and has used this month, beside what its profile allows; 0 is no limit (rest-semantics 17.10). */
export function usageOperations({ directory, registry, usage }: Services): Operation[] {
  return [
    operation({
      method: "GET",
      path: "/api/usage",
      who: tenantOnly,
      run: async ({ principal: { tenantId }, call }) => {
        const all = { where: { tenantId }, limit: 1 };
        const tenant = await directory.tenants.get(tenantId, call);
        const profileId = tenant?.value.tenantProfileId ?? "";
        const [profile, devices, customers, users, used] = await Promise.all([
          directory.tenantProfiles.get(profileId, call),
          registry.devices.find(all, call),
          directory.customers.find(all, call),
          directory.users.find(all, call),
          usage.usageOf(tenantId, call),
        ]);
        const limits = (profile?.value.profileData["configuration"] ?? {}) as Readonly<Record<string, unknown>>;
        const limit = (name: string) => Number(limits[name] ?? 0);
        return {
          json: {
            devices: devices.total,
            maxDevices: limit("maxDevices"),
            assets: 0,
            maxAssets: limit("maxAssets"),
            customers: customers.total,
            maxCustomers: limit("maxCustomers"),
            users: users.total,
            maxUsers: limit("maxUsers"),
            dashboards: 0,
            maxDashboards: limit("maxDashboards"),
            edges: 0,
            maxEdges: limit("maxEdges"),
            transportMessages: used.counts.transportMessages,
            maxTransportMessages: limit("maxTransportMessages"),
            jsExecutions: 0,
            tbelExecutions: 0,
            maxJsExecutions: limit("maxJSExecutions"),
            maxTbelExecutions: limit("maxTbelExecutions"),
            emails: 0,
            maxEmails: limit("maxEmails"),
            sms: 0,
            maxSms: limit("maxSms"),
            smsEnabled: limits["smsEnabled"] !== false,
            alarms: 0,
            maxAlarms: limit("maxCreatedAlarms"),
          },
        };
      },
    }),
  ];
}
