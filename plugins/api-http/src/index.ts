import {
  Accounts,
  ApiKeys,
  ApiUsage,
  Applications,
  AttributeStore,
  Bytes,
  Claims,
  DeviceControl,
  DeviceRegistry,
  Directory,
  Duration,
  definePlugin,
  EntityQueries,
  EntityStore,
  HttpListener,
  Identity,
  Lanes,
  Lifecycle,
  Log,
  OtaPackages,
  optional,
  Port,
  Relations,
  Telemetry,
  TimeseriesStore,
  Type,
  UserSettings,
  World,
} from "@heddle/plugin-sdk";
import { ApiServer } from "./api-server.ts";
import { faults } from "./faults.ts";
import { allOperations } from "./operations/all.ts";

export default definePlugin({
  name: "@heddle/api-http",
  sdk: "^1.0",
  summary: "The REST API.",
  stability: "beta",
  config: Type.Object(
    {
      maxBody: Bytes({ default: "16MB", description: "Largest request body." }),
      requests: Type.Integer({
        default: 2_000,
        minimum: 1,
        description: "Requests in progress at once; beyond it requests get 503.",
      }),
      timeout: Duration({
        default: "30s",
        description: "How long an operation may take; calls to devices say themselves.",
      }),
      connectivity: Type.Object(
        {
          host: Type.Optional(Type.String({ minLength: 1, description: "Of the request, when absent." })),
          mqtt: Port({ default: 1883 }),
          mqtts: Port({ default: 0 }),
          coap: Port({ default: 5683 }),
          coaps: Port({ default: 0 }),
        },
        {
          additionalProperties: false,
          default: {},
          description: "Where devices are told to connect; a port of 0 is not offered.",
        },
      ),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    http: HttpListener,
    lanes: Lanes,
    entities: EntityStore,
    attributes: AttributeStore,
    series: TimeseriesStore,
    telemetry: Telemetry,
    identity: Identity,
    accounts: Accounts,
    apiKeys: ApiKeys,
    directory: Directory,
    registry: DeviceRegistry,
    lifecycle: Lifecycle,
    control: DeviceControl,
    relations: Relations,
    packages: OtaPackages,
    claims: Claims,
    usage: ApiUsage,
    queries: EntityQueries,
    applications: optional(Applications),
    settings: UserSettings,
  },
  metrics: { answers: { kind: "counter", unit: "answers", help: "Answers by status.", labels: ["status"] } },
  faults,
  register({ container, config, deps, metrics }) {
    let made: ApiServer | undefined;
    const counted = (status: number) => metrics.answers.record(1, { status: String(status) });
    container.register(ApiServer, {
      useFactory: () => {
        made ??= new ApiServer(config, deps, counted);
        return made;
      },
    });
  },
  async start({ container, config, deps }) {
    await container.resolve(ApiServer).start(deps.http, allOperations({ ...deps, connectivity: config.connectivity }));
  },
  async stop({ container }) {
    await container.resolve(ApiServer).stop();
  },
});
