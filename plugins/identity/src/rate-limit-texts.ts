import { invalid } from "@heddle/plugin-sdk";

/** The rate limits of a tenant profile, by what messages call them (rest-semantics 17.6). */
const labels: Readonly<Record<string, string>> = {
  transportTenantMsgRateLimit: "Transport tenant messages",
  transportTenantTelemetryMsgRateLimit: "Transport tenant telemetry messages",
  transportTenantTelemetryDataPointsRateLimit: "Transport tenant telemetry data points",
  transportDeviceMsgRateLimit: "Transport device messages",
  transportDeviceTelemetryMsgRateLimit: "Transport device telemetry messages",
  transportDeviceTelemetryDataPointsRateLimit: "Transport device telemetry data points",
  transportGatewayMsgRateLimit: "Transport gateway messages",
  transportGatewayTelemetryMsgRateLimit: "Transport gateway telemetry messages",
  transportGatewayTelemetryDataPointsRateLimit: "Transport gateway telemetry data points",
  transportGatewayDeviceMsgRateLimit: "Transport gateway device messages",
  transportGatewayDeviceTelemetryMsgRateLimit: "Transport gateway device telemetry messages",
  transportGatewayDeviceTelemetryDataPointsRateLimit: "Transport gateway device telemetry data points",
  tenantEntityExportRateLimit: "Entity version creation",
  tenantEntityImportRateLimit: "Entity version load",
  tenantNotificationRequestsRateLimit: "Notification requests",
  tenantNotificationRequestsPerRuleRateLimit: "Notification requests per notification rule",
  tenantServerRestLimitsConfiguration: "REST requests for tenant",
  customerServerRestLimitsConfiguration: "REST requests for customer",
  wsUpdatesPerSessionRateLimit: "WS updates per session",
  cassandraReadQueryTenantCoreRateLimits: "Cassandra read queries of the core",
  cassandraWriteQueryTenantCoreRateLimits: "Cassandra write queries of the core",
  cassandraReadQueryTenantRuleEngineRateLimits: "Cassandra read queries of the rule engine",
  cassandraWriteQueryTenantRuleEngineRateLimits: "Cassandra write queries of the rule engine",
  edgeEventRateLimits: "Edge events",
  edgeEventRateLimitsPerEdge: "Edge events per edge",
  edgeUplinkMessagesRateLimits: "Edge uplink messages",
  edgeUplinkMessagesRateLimitsPerEdge: "Edge uplink messages per edge",
};
export const rateLimitNames: readonly string[] = Object.keys(labels);

/** Beyond these figures a bucket's arithmetic would lose tokens. */
const pair = /^\s*0*([1-9]\d{0,11})\s*:\s*0*([1-9]\d{0,8})\s*$/;
const shownLength = 100;

/** Null and empty are unlimited, else `capacity:seconds` with commas (device-api 0.6). Fault `input.invalid` (R-TEN-05). */
export function checkRateLimits(configuration: Readonly<Record<string, unknown>>): void {
  for (const name of rateLimitNames) {
    const text = configuration[name] ?? "";
    if (text !== "") check(`${labels[name]} rate limit`, text);
  }
}

function check(limit: string, text: unknown): void {
  const seconds = typeof text === "string" ? text.split(",").map((part) => pair.exec(part)?.[2]) : [undefined];
  if (seconds.includes(undefined)) {
    const shown = JSON.stringify(text).slice(0, shownLength);
    throw invalid(`Validation error: ${limit} must be pairs of capacity:seconds, such as "10:1,300:60", not ${shown}.`);
  }
  if (new Set(seconds).size < seconds.length) {
    throw invalid(`Validation error: ${limit} has duplicate 'Per seconds' configuration.`);
  }
}
