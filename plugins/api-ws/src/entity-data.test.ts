import type { EntityQueries, EntityRows, FeedUpdate } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { call, device, FakeFeeds, silentSeries, someone, tenantId, until } from "../testing/stand-in.ts";
import { EntityData } from "./entity-data.ts";

const rowsWith = (ts: number, value: string): EntityRows => ({
  rows: [{ entity: device, tenantId, latest: { TIME_SERIES: { t: { ts, value } } } }],
  totalElements: 1,
  totalPages: 1,
  hasNext: false,
});
const update = (ts: number, value: number | null): FeedUpdate => ({
  entity: device,
  changes: [{ key: "t", ts, value }],
});

/** A context whose store answers when the test says so. */
function context() {
  const feeds = new FakeFeeds();
  const sent: any[] = [];
  const failures: unknown[] = [];
  const answers: ((rows: EntityRows) => void)[] = [];
  const queries: EntityQueries = {
    count: async () => 0,
    find: () => new Promise((resolve) => answers.push(resolve)),
  };
  const data = new EntityData(1, {
    feeds,
    queries,
    series: silentSeries,
    principal: someone,
    mostWindows: 10,
    call,
    send: (text) => sent.push(JSON.parse(text)),
    failed: (error) => failures.push(error),
  });
  const answer = async (rows: EntityRows) => {
    await until(() => answers.length > 0);
    answers.shift()?.(rows);
  };
  const values = () => sent.slice(1).flatMap(({ update }) => update.map((row: any) => row.latest.TIME_SERIES.t));
  const ask = () =>
    data.run({
      type: "ENTITY_DATA",
      cmdId: 1,
      query: {},
      latest: [{ type: "TIME_SERIES", key: "t" }],
      series: undefined,
      unknown: [],
    });
  return { feeds, data, sent, failures, answer, values, ask };
}

it("a value that comes while the first ones are read is not undone by what was read before it", async () => {
  const { feeds, answer, values, ask, failures } = context();
  const asked = ask();
  await answer(rowsWith(0, ""));
  await until(() => feeds.open.size === 1);
  feeds.tell(update(5, 1));
  await answer(rowsWith(0, ""));
  await asked;
  expect(values()).toEqual([{ ts: 5, value: "1" }]);
  feeds.tell(update(6, null));
  feeds.tell(update(7, 2));
  expect(values().slice(1)).toEqual([
    { ts: 0, value: "" },
    { ts: 7, value: "2" },
  ]);
  expect(failures).toEqual([]);
});

it("after updates may have been lost, what the store has meanwhile is told, once", async () => {
  const { feeds, answer, values, ask, data } = context();
  const asked = ask();
  await answer(rowsWith(1, "1"));
  await answer(rowsWith(1, "1"));
  await asked;
  expect(values()).toEqual([]);
  for (const { on } of feeds.open) on.resync();
  feeds.tell(update(3, 3));
  await answer(rowsWith(2, "2"));
  await until(() => values().length === 2);
  expect(values()).toEqual([
    { ts: 2, value: "2" },
    { ts: 3, value: "3" },
  ]);
  data.close();
  expect(feeds.open.size).toBe(0);
});
