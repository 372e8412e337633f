import {
  Bytes,
  Duration,
  definePlugin,
  HttpListener,
  Log,
  Onboarding,
  OtaPackages,
  Sessions,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { DeviceHttp } from "./device-http.ts";

export default definePlugin({
  name: "@heddle/transport-http",
  sdk: "^1.0",
  summary: "The device API over HTTP.",
  stability: "beta",
  config: Type.Object(
    {
      maxBody: Bytes({ default: "50MB", description: "Largest body of telemetry and attributes." }),
      maxRpcBody: Bytes({ default: "64KB", description: "Largest body of calls and answers." }),
      pendingBytes: Bytes({
        default: "64MB",
        description: "Bodies of all requests in progress; beyond it requests get 503.",
      }),
      poll: Duration({ default: "60s", description: "How long a long poll waits that does not say." }),
      longestPoll: Duration({ default: "5m", description: "How long a long poll may wait." }),
      accurateStatus: Type.Boolean({
        default: false,
        description:
          "400 for what cannot be read and 429 above a rate limit, in place of 500 as the reference says it.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    http: HttpListener,
    sessions: Sessions,
    onboarding: Onboarding,
    packages: OtaPackages,
  },
  metrics: { answers: { kind: "counter", unit: "answers", help: "Answers by status.", labels: ["status"] } },
  register({ container, config, deps, metrics }) {
    let made: DeviceHttp | undefined;
    container.register(DeviceHttp, {
      useFactory: () => {
        made ??= new DeviceHttp(config, deps, (status) => metrics.answers.record(1, { status: String(status) }));
        return made;
      },
    });
  },
  async start({ container }) {
    container.resolve(DeviceHttp).start();
  },
  async stop({ container }) {
    container.resolve(DeviceHttp).stop();
  },
});
