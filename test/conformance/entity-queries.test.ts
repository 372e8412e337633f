import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { Target } from "./target.ts";
import { entity, eventually, pause, type TestDevice, TestTenant } from "./tenant.ts";

type Answer = any;

/** A signed-in connection to `/api/ws`; answers by command id. */
class Socket implements Disposable {
  readonly #socket: WebSocket;
  readonly answers: Answer[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (text) => this.answers.push(JSON.parse(String(text))));
  }

  static async open(target: Target, token: string): Promise<Socket> {
    const socket = new WebSocket(`${target.http.replace("http", "ws")}/api/ws`);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    socket.send(JSON.stringify({ authCmd: { cmdId: 0, token } }));
    return new Socket(socket);
  }

  send(command: object): void {
    this.#socket.send(JSON.stringify({ cmds: [command] }));
  }

  /** Sends a command, resolves with the next answer to its id. */
  async ask(command: { cmdId: number; [more: string]: unknown }): Promise<Answer> {
    const before = this.of(command.cmdId).length;
    this.send(command);
    return this.next(command.cmdId, before);
  }

  async next(cmdId: number, after: number): Promise<Answer> {
    const all = await eventually(
      () => this.of(cmdId),
      ({ length }) => length > after,
    );
    return all[after];
  }

  of(cmdId: number): Answer[] {
    return this.answers.filter((answer) => (answer.cmdId ?? answer.subscriptionId) === cmdId);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

const field = (key: string) => ({ type: "ENTITY_FIELD", key });
const series = (key: string) => ({ type: "TIME_SERIES", key });
const page = (more: object = {}) => ({ pageSize: 10, page: 0, ...more });

describe.concurrent("entity queries", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start({ set: { "plugins.apiWs.config.refresh": "1s" } });
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  let kinds = 0;
  /** Devices of a type of their own. */
  async function devices(...names: string[]): Promise<{ type: string; filter: object; made: TestDevice[] }> {
    const type = `kind ${++kinds}`;
    const made: TestDevice[] = [];
    for (const name of names) made.push(await tenant.device({ name: `${type} ${name}`, more: { type } }));
    return { type, filter: { type: "deviceType", deviceTypes: [type], deviceNameFilter: "" }, made };
  }
  const find = (query: object, rest = tenant.rest) => rest.post("/api/entitiesQuery/find", query);
  const count = (query: object, rest = tenant.rest) => rest.post("/api/entitiesQuery/count", query);
  const namesOf = (found: Answer) => found.data.map((row: Answer) => row.latest.ENTITY_FIELD.name.value);
  async function save(device: TestDevice | undefined, ts: number, values: object): Promise<void> {
    const path = `/api/plugins/telemetry/DEVICE/${device?.id}/timeseries/ANY`;
    await tenant.rest.post(path, { ts, values });
  }

  it("R-EQ-01 R-EQ-16 R-EQ-17 fields of devices of a type, their number, and the place of what is missing", async () => {
    const { filter, type } = await devices("b", "a");
    const entityFields = ["name", "type", "ownerName", "nonsense"].map(field);
    const found = await find({
      entityFilter: filter,
      pageLink: page({ sortOrder: { key: field("name"), direction: "ASC" } }),
      entityFields,
      latestValues: [series("t")],
    });
    expect(namesOf(found)).toEqual([`${type} a`, `${type} b`]);
    expect(found).toMatchObject({ totalElements: 2, totalPages: 1, hasNext: false });
    expect(found.data[0].latest).toMatchObject({
      ENTITY_FIELD: {
        type: { value: type },
        nonsense: { value: "" },
        ownerName: { value: expect.stringContaining("Conformance") },
      },
      TIME_SERIES: { t: { ts: 0, value: "" } },
    });
    expect(await count({ entityFilter: filter })).toBe(2);
  });

  it("R-EQ-02 says what is wrong with a query", async () => {
    const bad: readonly [object, RegExp][] = [
      [{ pageLink: page() }, /Query entity filter must be specified/],
      [{ entityFilter: { type: "entityType", entityType: "DEVICE" } }, /page link must be specified/i],
      [{ entityFilter: { type: "entityType" }, pageLink: page() }, /Entity type is required/],
      [{ entityFilter: { type: "nonsense" }, pageLink: page() }, /no type 'nonsense'/],
      [
        { entityFilter: { type: "entityType", entityType: "DEVICE" }, pageLink: page({ pageSize: 0 }) },
        /page size '0'/,
      ],
    ];
    for (const [query, text] of bad) {
      const { status, body } = await tenant.rest.call("POST", "/api/entitiesQuery/find", query);
      expect([status, body.message]).toEqual([400, expect.stringMatching(text)]);
    }
  });

  it("R-EQ-03 to R-EQ-11, R-EQ-19 filters by keys, order by a series, text", async () => {
    const { filter: entityFilter, made, type } = await devices("a", "b", "c", "none");
    for (const [at, t] of [3, 20, 7].entries())
      await save(made[at], 1_000, { t, s: ["Alpha", "beta", "b,c"][at], on: at === 1 });
    await tenant.system.post(`/api/plugins/telemetry/TENANT/${tenant.id}/SERVER_SCOPE`, { threshold: 10 });
    const query = (more: object) => ({
      entityFilter,
      pageLink: page({ sortOrder: { key: field("name"), direction: "ASC" } }),
      entityFields: [field("name")],
      ...more,
    });
    const letters = async (more: object) =>
      namesOf(await find(query(more))).map((name: string) => name.slice(type.length + 1));
    const filter = (key: string, valueType: string, predicate: object) => ({ key: series(key), valueType, predicate });
    const numeric = (operation: string, value: object) => filter("t", "NUMERIC", { type: "NUMERIC", operation, value });
    const text = (operation: string, value: string, ignoreCase = false) => ({
      type: "STRING",
      operation,
      value: { defaultValue: value },
      ignoreCase,
    });
    expect(await letters({ keyFilters: [numeric("GREATER", { defaultValue: 5 })] })).toEqual(["b", "c"]);
    expect(
      await letters({
        keyFilters: [
          filter("missing", "NUMERIC", { type: "NUMERIC", operation: "NOT_EQUAL", value: { defaultValue: 5 } }),
        ],
      }),
    ).toEqual([]);
    expect(await letters({ keyFilters: [filter("s", "STRING", text("CONTAINS", "ALPH", true))] })).toEqual(["a"]);
    const either = {
      type: "COMPLEX",
      operation: "OR",
      predicates: [text("EQUAL", "Alpha"), text("STARTS_WITH", "be")],
    };
    expect(await letters({ keyFilters: [filter("s", "STRING", either)] })).toEqual(["a", "b"]);
    expect(await letters({ keyFilters: [filter("s", "STRING", text("IN", "Alpha, 'b,c'"))] })).toEqual(["a", "c"]);
    const dynamicValue = (sourceAttribute: string) => ({
      defaultValue: 5,
      dynamicValue: { sourceType: "CURRENT_TENANT", sourceAttribute },
    });
    expect(await letters({ keyFilters: [numeric("GREATER", dynamicValue("threshold"))] })).toEqual(["b"]);
    expect(await letters({ keyFilters: [numeric("GREATER", dynamicValue("none"))] })).toEqual(["b", "c"]);
    expect(await letters({ keyFilters: [numeric("GREATER", { ...dynamicValue("threshold"), userValue: 1 })] })).toEqual(
      ["a", "b", "c"],
    );
    expect(await letters({ pageLink: page({ sortOrder: { key: series("t"), direction: "DESC" } }) })).toEqual([
      "none",
      "b",
      "c",
      "a",
    ]);
    expect(await letters({ latestValues: [series("s")], pageLink: page({ textSearch: "BETA" }) })).toEqual(["b"]);
    const both = [
      numeric("LESS", { defaultValue: 5 }),
      filter("on", "BOOLEAN", { type: "BOOLEAN", operation: "EQUAL", value: { defaultValue: true } }),
    ];
    expect(await letters({ keyFilters: both })).toEqual([]);
    expect(await letters({ keyFilters: both, keyFiltersOperation: "OR" })).toEqual(["a", "b"]);
    const nested = { keyFilters: [numeric("POWER", { defaultValue: 1 })] };
    expect((await tenant.rest.call("POST", "/api/entitiesQuery/find", query(nested))).status).toBe(400);
  });

  it("R-EQ-14 R-EQ-15 R-EQ-21 W-ED-22 show the caller's own, and names by their beginning", async () => {
    const { filter: entityFilter, made, type } = await devices("mine", "not");
    const customer = await tenant.customer();
    await tenant.rest.post(`/api/customer/${customer.id}/device/${made[0]?.id}`);
    const query = { entityFilter, pageLink: page(), entityFields: [field("name")] };
    expect(namesOf(await find(query, customer.rest))).toEqual([`${type} mine`]);
    expect(await count({ entityFilter }, customer.rest)).toBe(1);
    const stranger = await TestTenant.create(target);
    const single = { type: "singleEntity", singleEntity: entity("DEVICE", made[0]?.id ?? "") };
    expect((await find({ ...query, entityFilter: single })).totalElements).toBe(1);
    expect((await find({ ...query, entityFilter: single }, stranger.rest)).totalElements).toBe(0);
    const byName = (entityNameFilter: string) =>
      count({ entityFilter: { type: "entityName", entityType: "DEVICE", entityNameFilter } });
    expect(await byName(type.toUpperCase())).toBe(2);
    expect(await byName(`%${type.slice(1)} m%e`)).toBe(1);
    const tenants = { entityFilter: { type: "entityType", entityType: "TENANT" } };
    expect(await count(tenants, tenant.system)).toBeGreaterThan(1);
    expect(await count(tenants)).toBe(1);
  });

  it("W-EC-01 to W-EC-05 a number, told again when it has changed", async () => {
    using socket = await Socket.open(target, tenant.rest.token);
    const { type, filter: entityFilter, made } = await devices("a");
    expect(await socket.ask({ type: "ENTITY_COUNT", cmdId: 1, query: { entityFilter } })).toMatchObject({
      cmdUpdateType: "COUNT_DATA",
      count: 1,
      errorCode: 0,
    });
    const none = { type: "deviceType", deviceTypes: ["no such"], deviceNameFilter: "" };
    expect(await socket.ask({ type: "ENTITY_COUNT", cmdId: 2, query: { entityFilter: none } })).toMatchObject({
      count: 0,
    });
    await save(made[0], 1, { t: 42 });
    const above = (defaultValue: number) => ({
      entityFilter,
      keyFilters: [
        {
          key: series("t"),
          valueType: "NUMERIC",
          predicate: { type: "NUMERIC", operation: "GREATER", value: { defaultValue } },
        },
      ],
    });
    expect(await socket.ask({ type: "ENTITY_COUNT", cmdId: 3, query: above(40) })).toMatchObject({ count: 1 });
    expect(await socket.ask({ type: "ENTITY_COUNT", cmdId: 4, query: above(50) })).toMatchObject({ count: 0 });
    await tenant.device({ more: { type } });
    expect(await socket.next(1, 1)).toMatchObject({ count: 2 });
    expect(socket.of(2)).toHaveLength(1);
    for (const cmdId of [1, 2]) socket.send({ type: "ENTITY_COUNT_UNSUBSCRIBE", cmdId });
    await tenant.device({ more: { type } });
    await pause(2_500);
    expect(socket.of(1)).toHaveLength(2);
    expect(await socket.ask({ type: "ENTITY_COUNT", cmdId: 5, query: {} })).toMatchObject({
      errorCode: 2,
      errorMsg: "Query entity filter must be specified.",
    });
  });

  it("W-ED-01 to W-ED-06, W-ED-10, W-ED-20, W-ED-26 a page, its latest values, and what changes of them", async () => {
    using socket = await Socket.open(target, tenant.rest.token);
    const { type, filter: entityFilter, made } = await devices("a");
    const query = { entityFilter, pageLink: page(), entityFields: [field("name")] };
    const first = await socket.ask({ type: "ENTITY_DATA", cmdId: 1, query, latestCmd: { keys: [series("t")] } });
    expect(first).toMatchObject({ cmdUpdateType: "ENTITY_DATA", update: null, allowedEntities: 10_000, errorCode: 0 });
    expect(first.data).toMatchObject({ totalElements: 1, hasNext: false });
    expect(first.data.data[0].latest).toMatchObject({
      ENTITY_FIELD: { name: { value: `${type} a` } },
      TIME_SERIES: { t: { ts: 0, value: "" } },
    });
    await save(made[0], 2_000, { t: 5, other: 1 });
    const update = await socket.next(1, 1);
    expect(update).toMatchObject({
      data: null,
      update: [
        { entityId: entity("DEVICE", made[0]?.id ?? ""), latest: { TIME_SERIES: { t: { ts: 2_000, value: "5" } } } },
      ],
    });
    await save(made[0], 1_000, { t: 4 });
    await save(made[0], 2_000, { t: 5 });
    await pause(500);
    expect(socket.of(1)).toHaveLength(2);
    await tenant.rest.delete(
      `/api/plugins/telemetry/DEVICE/${made[0]?.id}/timeseries/delete?keys=t&deleteAllDataForKeys=true`,
    );
    expect((await socket.next(1, 2)).update[0].latest.TIME_SERIES.t).toEqual({ ts: 0, value: "" });

    const plain = await socket.ask({ type: "ENTITY_DATA", cmdId: 2, query });
    expect(plain.data.data).toHaveLength(1);
    const later = await socket.ask({ type: "ENTITY_DATA", cmdId: 2, latestCmd: { keys: [series("t")] } });
    expect(later).toMatchObject({ data: null, update: [{ latest: { TIME_SERIES: { t: { ts: 0, value: "" } } } }] });
    for (const cmdId of [1, 2]) socket.send({ type: "ENTITY_DATA_UNSUBSCRIBE", cmdId });
    await save(made[0], 9_000, { t: 9 });
    await pause(500);
    expect(socket.of(1)).toHaveLength(3);
    expect(socket.of(2)).toHaveLength(2);
  });

  it("W-ED-07 to W-ED-09, W-ED-16 series of a row: once, or going on", async () => {
    using socket = await Socket.open(target, tenant.rest.token);
    const { filter: entityFilter, made } = await devices("a");
    const query = { entityFilter, pageLink: page() };
    const historyCmd = { keys: ["t"], startTs: 0, endTs: 10_000, limit: 100, agg: "NONE", interval: 0 };
    const none = await socket.ask({ type: "ENTITY_DATA", cmdId: 1, query, historyCmd });
    expect(none.data.data[0].timeseries).toEqual({ t: [] });
    for (const ts of [1_000, 2_000, 3_000]) await save(made[0], ts, { t: ts / 1_000 });
    const three = await socket.ask({ type: "ENTITY_DATA", cmdId: 1, historyCmd });
    expect(three.data).toBeNull();
    expect(three.update[0].timeseries.t.map(({ value }: Answer) => value)).toEqual(["3", "2", "1"]);
    const max = await socket.ask({
      type: "ENTITY_DATA",
      cmdId: 1,
      historyCmd: { ...historyCmd, agg: "MAX", interval: 2_000 },
    });
    expect(max.update[0].timeseries.t.map(({ ts, value }: Answer) => [ts, value])).toEqual([
      [1_000, "1"],
      [3_000, "3"],
    ]);
    const tsCmd = { keys: ["t"], startTs: 0, timeWindow: 60_000, limit: 100, agg: "NONE", interval: 0 };
    const window = await socket.ask({ type: "ENTITY_DATA", cmdId: 2, query, tsCmd });
    expect(window.data.data[0].timeseries.t).toHaveLength(3);
    await save(made[0], 4_000, { t: 4 });
    expect((await socket.next(2, 1)).update[0].timeseries.t).toEqual([{ ts: 4_000, value: "4", count: null }]);
  });

  it("W-ED-11 W-ED-12 attributes of one scope, and the newest of all", async () => {
    using socket = await Socket.open(target, tenant.rest.token);
    const { filter: entityFilter, made } = await devices("a");
    const id = made[0]?.id ?? "";
    const types = ["SHARED_ATTRIBUTE", "SERVER_ATTRIBUTE", "ATTRIBUTE"];
    const keys = types.map((type) => ({ type, key: "k" }));
    await socket.ask({ type: "ENTITY_DATA", cmdId: 1, query: { entityFilter, pageLink: page() }, latestCmd: { keys } });
    await tenant.saveAttributes(id, "SHARED_SCOPE", { k: "shared" });
    expect(Object.keys((await socket.next(1, 1)).update[0].latest)).toEqual(["SHARED_ATTRIBUTE", "ATTRIBUTE"]);
    await tenant.saveAttributes(id, "SERVER_SCOPE", { k: "server" });
    expect((await socket.next(1, 2)).update[0].latest).toMatchObject({
      SERVER_ATTRIBUTE: { k: { value: "server" } },
      ATTRIBUTE: { k: { value: "server" } },
    });
    const found = await find({ entityFilter, pageLink: page(), latestValues: keys });
    expect(types.map((type) => found.data[0].latest[type].k.value)).toEqual(["shared", "server", "server"]);
  });

  it("W-ED-18 W-ED-19 W-ED-21 W-ED-25 refusals, pages, order by value", async () => {
    using socket = await Socket.open(target, tenant.rest.token);
    const { type, filter: entityFilter, made } = await devices("a", "b", "c");
    expect(await socket.ask({ type: "ENTITY_DATA", cmdId: 7, latestCmd: { keys: [series("t")] } })).toMatchObject({
      errorCode: 2,
      data: null,
      update: null,
    });
    expect(await socket.ask({ type: "ENTITY_DATA", cmdId: 8, query: { pageLink: page() } })).toMatchObject({
      errorCode: 2,
      errorMsg: "Query entity filter must be specified.",
    });
    const sortOrder = { key: field("name"), direction: "ASC" };
    const second = await socket.ask({
      type: "ENTITY_DATA",
      cmdId: 9,
      query: { entityFilter, pageLink: { pageSize: 1, page: 1, sortOrder }, entityFields: [field("name")] },
    });
    expect(second.data).toMatchObject({ totalElements: 3, totalPages: 3, hasNext: true });
    expect(second.data.data[0].latest.ENTITY_FIELD.name.value).toBe(`${type} b`);
    for (const [at, t] of [9, 10, 8].entries()) await save(made[at], 1, { t });
    const sorted = await socket.ask({
      type: "ENTITY_DATA",
      cmdId: 10,
      query: {
        entityFilter,
        pageLink: page({ sortOrder: { key: series("t"), direction: "DESC" } }),
        latestValues: [series("t")],
      },
    });
    expect(sorted.data.data.map((row: Answer) => row.latest.TIME_SERIES.t.value)).toEqual(["10", "9", "8"]);
  });
});
