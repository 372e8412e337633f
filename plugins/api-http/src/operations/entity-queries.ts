import { type EntityRow, Type } from "@heddle/plugin-sdk";
import { everyone, type Operation, operation } from "../operation.ts";
import type { Services } from "../services.ts";

const Anything = Type.Object({}, { additionalProperties: true });

const view = ({ entity, latest }: EntityRow) => ({
  entityId: entity,
  readAttrs: true,
  readTs: true,
  latest: Object.fromEntries(
    Object.entries(latest).map(([type, values]) => [
      type,
      Object.fromEntries(Object.entries(values ?? {}).map(([key, { ts, value }]) => [key, { ts, value, count: null }])),
    ]),
  ),
  timeseries: {},
  aggLatest: {},
});

/** Entity queries (rest-semantics 10); their documents are checked by who answers them. */
export function entityQueryOperations({ queries }: Services): Operation[] {
  return [
    operation({
      method: "POST",
      path: "/api/entitiesQuery/count",
      who: everyone,
      body: Anything,
      run: async ({ principal, body, call }) => ({ json: await queries.count(body, principal, call) }),
    }),
    operation({
      method: "POST",
      path: "/api/entitiesQuery/find",
      who: everyone,
      body: Anything,
      run: async ({ principal, body, call }) => {
        const { rows, ...page } = await queries.find(body, principal, call);
        return { json: { data: rows.map(view), ...page } };
      },
    }),
  ];
}
