import type { Condition, Query } from "@heddle/plugin-sdk";
import type { SqlValue } from "@heddle/sqlite-driver/worker";
import { scalar } from "./fields.ts";

/** How a query names things: the table, a field's value, and what sorting and searching see of it. */
export interface QueryShape {
  readonly table: string;
  value(field: string): string;
  folded(field: string): string;
}

export interface Prepared {
  readonly sql: string;
  readonly values: SqlValue[];
}

export function pageSql(query: Query, shape: QueryShape): Prepared {
  const { sql, values } = filter(query, shape);
  const by = query.sort === undefined || query.sort.by === "id" ? undefined : shape.folded(query.sort.by);
  const direction = query.sort?.order === "desc" ? "DESC" : "ASC";
  const order = by === undefined ? `id ${direction}` : `${by} ${direction}, id`;
  values.push(query.limit, (query.page ?? 0) * query.limit);
  return { sql: `SELECT id, version, body FROM ${shape.table} ${sql} ORDER BY ${order} LIMIT ? OFFSET ?`, values };
}

export function countSql(query: Query, shape: QueryShape): Prepared {
  const { sql, values } = filter(query, shape);
  return { sql: `SELECT count(*) AS total FROM ${shape.table} ${sql}`, values };
}

function filter({ where = {}, search }: Query, shape: QueryShape): Prepared {
  const terms: string[] = [];
  const values: SqlValue[] = [];
  for (const [field, condition] of Object.entries(where)) {
    const term = conditionSql(shape.value(field), condition);
    terms.push(term.sql);
    values.push(...term.values);
  }
  if (search !== undefined && search.text !== "") {
    const any = search.fields.map((field) => `instr(${shape.folded(field)}, ?) > 0`);
    terms.push(any.length === 0 ? "0" : `(${any.join(" OR ")})`);
    values.push(...search.fields.map(() => search.text.toLowerCase()));
  }
  return { sql: terms.length === 0 ? "" : `WHERE ${terms.join(" AND ")}`, values };
}

function conditionSql(column: string, condition: Condition): Prepared {
  if (condition === null) return { sql: `${column} IS NULL`, values: [] };
  if (typeof condition !== "object") return { sql: `${column} = ?`, values: [scalar(condition)] };
  if ("in" in condition) {
    const values = condition.in.filter((value) => value !== null).map(scalar);
    const some = `${column} IN (${values.map(() => "?").join(", ")})`;
    return { sql: condition.in.includes(null) ? `(${some} OR ${column} IS NULL)` : some, values };
  }
  const terms = ["1"];
  const values: SqlValue[] = [];
  for (const [sign, bound] of [
    [">=", condition.gte],
    ["<", condition.lt],
  ] as const) {
    if (bound === undefined) continue;
    // SQLite orders every number before every text: a bound says nothing about values of the other type.
    terms.push(`${column} ${sign} ?`, `(typeof(${column}) = 'text') = ${typeof bound === "string" ? 1 : 0}`);
    values.push(scalar(bound));
  }
  return { sql: `(${terms.join(" AND ")})`, values };
}
