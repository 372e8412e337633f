import {
  AttributeStore,
  EntityQueries,
  EntityStore,
  Feeds,
  HttpListener,
  Identity,
  TimeseriesStore,
} from "@heddle/plugin-sdk";
import { describePlugin } from "@heddle/plugin-sdk/testing";
import { Bench } from "../testing/stand-in.ts";
import card from "./index.ts";

const spare = new Bench();
describePlugin(card, {
  deps: new Map<string, unknown>([
    [HttpListener.id, spare.http],
    [Identity.id, spare.identity],
    [Feeds.id, spare.feeds],
    [EntityStore.id, spare.entities],
    [EntityQueries.id, spare.queries],
    [TimeseriesStore.id, spare.series],
    [AttributeStore.id, spare.attributes],
  ]),
});
