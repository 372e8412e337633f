import { type Value, valueText } from "@heddle/plugin-sdk";

/** Numbers of websocket 2.6. */
export const errorCodes = { internal: 1, badRequest: 2, unauthorized: 3 } as const;

export interface Shown {
  readonly key: string;
  readonly ts: number;
  readonly value: Value | null;
}

/** An old-style update (websocket 3.2): every value is a text; `latestValues` holds the time of each key's last entry. */
export function updateText(cmdId: number, points: readonly Shown[]): string {
  const data = new Map<string, string[]>();
  const latest = new Map<string, number>();
  for (const { key, ts, value } of points) {
    const entries = data.get(key) ?? [];
    data.set(key, entries);
    entries.push(`[${ts},${value === null ? "null" : JSON.stringify(valueText(value))}]`);
    latest.set(key, ts);
  }
  const dataText = [...data].map(([key, entries]) => `${JSON.stringify(key)}:[${entries.join(",")}]`).join(",");
  const latestText = [...latest].map(([key, ts]) => `${JSON.stringify(key)}:${ts}`).join(",");
  return `{"subscriptionId":${cmdId},"errorCode":0,"errorMsg":null,"data":{${dataText}},"latestValues":{${latestText}}}`;
}

/** A refusal of an entity query (websocket 4.13). */
export function queryErrorText(
  { cmdId, type }: { readonly cmdId: number; readonly type: "ENTITY_COUNT" | "ENTITY_DATA" },
  errorCode: number,
  errorMsg: string,
): string {
  const nothing = type === "ENTITY_COUNT" ? { count: 0 } : { data: null, update: null, allowedEntities: 0 };
  const cmdUpdateType = type === "ENTITY_COUNT" ? "COUNT_DATA" : type;
  return JSON.stringify({ cmdId, errorCode, errorMsg, ...nothing, cmdUpdateType });
}

export function errorText(cmdId: number, errorCode: number, errorMsg: string): string {
  return JSON.stringify({ subscriptionId: cmdId, errorCode, errorMsg, data: null, latestValues: {} });
}
