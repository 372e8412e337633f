import { rateLimitNames } from "./rate-limit-texts.ts";

const unlimited = [
  "maxDevices",
  "maxAssets",
  "maxCustomers",
  "maxUsers",
  "maxDashboards",
  "maxRuleChains",
  "maxEdges",
  "maxResourcesInBytes",
  "maxOtaPackagesInBytes",
  "maxResourceSize",
  "maxTransportMessages",
  "maxTransportDataPoints",
  "maxREExecutions",
  "maxJSExecutions",
  "maxTbelExecutions",
  "maxDPStorageDays",
  "maxRuleNodeExecutionsPerMessage",
  "maxEmails",
  "maxSms",
  "maxCreatedAlarms",
  "maxWsSessionsPerTenant",
  "maxWsSessionsPerCustomer",
  "maxWsSessionsPerRegularUser",
  "maxWsSessionsPerPublicUser",
  "wsMsgQueueLimitPerSession",
  "maxWsSubscriptionsPerTenant",
  "maxWsSubscriptionsPerCustomer",
  "maxWsSubscriptionsPerRegularUser",
  "maxWsSubscriptionsPerPublicUser",
  "defaultStorageTtlDays",
  "alarmsTtlDays",
  "rpcTtlDays",
  "queueStatsTtlDays",
  "ruleEngineExceptionsTtlDays",
  "warnThreshold",
];

/** The configuration of a tenant profile that limits nothing (rest-semantics 17.6). */
const defaults: Readonly<Record<string, unknown>> = {
  type: "DEFAULT",
  ...Object.fromEntries(unlimited.map((name) => [name, 0])),
  ...Object.fromEntries(rateLimitNames.map((name) => [name, null])),
  smsEnabled: null,
  maxDebugModeDurationMinutes: 15,
  maxCalculatedFieldsPerEntity: 5,
  maxArgumentsPerCF: 10,
  minAllowedScheduledUpdateIntervalInSecForCF: 1,
  maxRelationLevelPerCfArgument: 2,
  maxRelatedEntitiesToReturnPerCfArgument: 100,
  maxDataPointsPerRollingArg: 1000,
  maxStateSizeInKBytes: 32,
  maxSingleValueArgumentSizeInKBytes: 2,
  minAllowedDeduplicationIntervalInSecForCF: 1,
  minAllowedAggregationIntervalInSecForCF: 60,
  intermediateAggregationIntervalInSecForCF: 300,
  cfReevaluationCheckInterval: 60,
  alarmsReevaluationInterval: 60,
};

/** Profile data with everything that was left out. */
export function tenantProfileData(
  given: Readonly<Record<string, unknown>> | null | undefined,
): Record<string, unknown> {
  const configuration = { ...defaults, ...(given?.["configuration"] as Record<string, unknown> | undefined) };
  return { configuration, queueConfiguration: given?.["queueConfiguration"] ?? null };
}
