import { everyone, type Operation, operation } from "../operation.ts";
import type { Services } from "../services.ts";

type Limits = Readonly<Record<string, unknown>>;

const fromProfile = [
  "maxArgumentsPerCF",
  "maxDataPointsPerRollingArg",
  "minAllowedScheduledUpdateIntervalInSecForCF",
  "maxRelationLevelPerCfArgument",
  "maxRelatedEntitiesToReturnPerCfArgument",
  "minAllowedDeduplicationIntervalInSecForCF",
  "minAllowedAggregationIntervalInSecForCF",
  "intermediateAggregationIntervalInSecForCF",
  "maxDebugModeDurationMinutes",
  "maxResourceSize",
];

/** What the server is able to do, for user interfaces (rest-semantics 17.9). */
export function systemOperations({ directory }: Services): Operation[] {
  return [
    operation({
      method: "GET",
      path: "/api/system/params",
      who: everyone,
      run: async ({ principal, call }) => {
        const tenant =
          principal.authority === "SYS_ADMIN" ? undefined : await directory.tenants.get(principal.tenantId, call);
        const profile =
          tenant === undefined
            ? await directory.defaultTenantProfile(call)
            : await directory.tenantProfiles.get(tenant.value.tenantProfileId, call);
        const limits = (profile?.value.profileData["configuration"] ?? {}) as Limits;
        return {
          json: {
            userTokenAccessEnabled: principal.authority !== "CUSTOMER_USER",
            allowedDashboardIds: [],
            edgesSupportEnabled: false,
            hasRepository: false,
            tbelEnabled: true,
            persistDeviceStateToTelemetry: false,
            userSettings: { openedMenuSections: [] },
            maxDatapointsLimit: 50_000,
            mobileQrEnabled: false,
            ruleChainDebugPerTenantLimitsConfiguration: "50000:3600",
            calculatedFieldDebugPerTenantLimitsConfiguration: "50000:3600",
            nullsOrderStrategy: "default",
            edqsEnabled: false,
            trendzSettings: { enabled: false, baseUrl: null, apiKey: null },
            iotHubBaseUrl: "",
            ...Object.fromEntries(fromProfile.map((name) => [name, limits[name] ?? 0])),
          },
        };
      },
    }),
  ];
}
