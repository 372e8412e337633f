import {
  Actors,
  AttributeStore,
  DeviceRegistry,
  EntityStore,
  Lanes,
  Relations,
  Sessions,
  Telemetry,
} from "@heddle/plugin-sdk";
import { describePlugin } from "@heddle/plugin-sdk/testing";
import { StandIn } from "../testing/stand-in.ts";
import card from "./index.ts";

const { actors, lanes, entities, attributes, telemetry, registry, relations, sessions } = new StandIn().deps;
describePlugin(card, {
  deps: new Map<string, unknown>([
    [Actors.id, actors],
    [Lanes.id, lanes],
    [EntityStore.id, entities],
    [AttributeStore.id, attributes],
    [Telemetry.id, telemetry],
    [DeviceRegistry.id, registry],
    [Relations.id, relations],
    [Sessions.id, sessions],
  ]),
});
