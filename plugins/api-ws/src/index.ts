import {
  AttributeStore,
  Duration,
  definePlugin,
  EntityQueries,
  EntityStore,
  Feeds,
  HttpListener,
  Identity,
  Log,
  TimeseriesStore,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { WsEndpoint } from "./ws-endpoint.ts";

export default definePlugin({
  name: "@heddle/api-ws",
  sdk: "^1.0",
  summary: "The WebSocket API: live time series, attributes, entities and their number.",
  stability: "beta",
  config: Type.Object(
    {
      authTimeout: Duration({ default: "10s", description: "A connection that has not signed in by then is closed." }),
      pingTimeout: Duration({
        default: "30s",
        description: "A connection that answers no ping for so long is closed.",
      }),
      pending: Type.Integer({
        default: 1_000,
        minimum: 1,
        description: "Messages waiting for a slow client; more close it.",
      }),
      subscriptions: Type.Integer({ default: 1_000, minimum: 1, description: "Live subscriptions of one connection." }),
      refresh: Duration({ default: "60s", description: "How often numbers of entities are looked at again." }),
      intervals: Type.Integer({ default: 700, minimum: 1, description: "Windows of one aggregation." }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    http: HttpListener,
    identity: Identity,
    feeds: Feeds,
    queries: EntityQueries,
    entities: EntityStore,
    series: TimeseriesStore,
    attributes: AttributeStore,
  },
  metrics: {
    connections: { kind: "gauge", unit: "connections", help: "Open connections." },
    sent: { kind: "counter", unit: "messages", help: "Messages sent to clients." },
  },
  register({ container, config, deps, metrics }) {
    container.register(WsEndpoint, { useFactory: once(() => new WsEndpoint(config, deps, metrics)) });
  },
  async start({ container }) {
    container.resolve(WsEndpoint).start();
  },
  async stop({ container }) {
    await container.resolve(WsEndpoint).stop();
  },
});

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
