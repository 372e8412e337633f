import { AttributeStore, EntityStore, Lanes, Telemetry } from "@heddle/plugin-sdk";
import { describePlugin } from "@heddle/plugin-sdk/testing";
import { StandIn } from "../testing/stand-in.ts";
import card from "./index.ts";

const { entities, attributes, telemetry } = new StandIn().deps;
const lanes = { consume: () => ({ [Symbol.asyncDispose]: async () => {} }) };
describePlugin(card, {
  deps: new Map<string, unknown>([
    [Lanes.id, lanes],
    [EntityStore.id, entities],
    [AttributeStore.id, attributes],
    [Telemetry.id, telemetry],
  ]),
});
