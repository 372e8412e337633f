import {
  ActorKinds,
  Actors,
  AttributeStore,
  Cluster,
  definePlugin,
  Feeds,
  Lanes,
  Log,
  provide,
  Telemetry,
  TimeseriesStore,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { LiveFeeds } from "./live-feeds.ts";
import { StoredTelemetry } from "./stored-telemetry.ts";

export default definePlugin({
  name: "@heddle/feeds",
  sdk: "^1.0",
  summary: "Telemetry writes and live updates: from wherever values are saved to wherever they are watched.",
  stability: "beta",
  config: Type.Object({}, { additionalProperties: false }),
  requires: {
    world: World,
    log: Log,
    actors: Actors,
    lanes: Lanes,
    cluster: Cluster,
    series: TimeseriesStore,
    attributes: AttributeStore,
  },
  provides: [Feeds, Telemetry, ActorKinds],
  metrics: {
    updates: { kind: "counter", unit: "total", help: "Updates handed to subscribers on this node." },
  },
  register({ container, deps, metrics }) {
    let made: LiveFeeds | undefined;
    const feeds = () => {
      made ??= new LiveFeeds(deps, (updates) => metrics.updates.record(updates));
      return made;
    };
    provide(container, Feeds, feeds);
    provide(container, Telemetry, () => new StoredTelemetry(deps, feeds()));
    provide(container, ActorKinds, () => feeds().kinds);
  },
});
