import { Double, type Plain, readTypedJson, writeTypedJson } from "@heddle/plugin-sdk";
import { compact, malformed, readText } from "../document.ts";
import { doubleText, integerText, type Message } from "./wire.ts";

/** `"key":value` of a fixed KeyValue. */
function memberText({ key, type, bool_v, long_v, double_v, string_v, json_v }: Message): string {
  const text = [
    () => String(bool_v),
    () => integerText(long_v),
    () => doubleText(double_v),
    () => JSON.stringify(string_v),
    () => compact(readText(json_v)),
  ][type as number];
  if (text === undefined) throw malformed(`a key-value has a type from 0 to 4, not ${type}`);
  return `${JSON.stringify(key)}:${text()}`;
}

/** The JSON text of one flat object. */
export function objectText(kv: readonly Message[]): string {
  return `{${kv.map(memberText).join(",")}}`;
}

/** The JSON text of a fixed PostTelemetry; without a time it gets the server's. */
export function telemetryText({ tsKvList }: Message): string {
  const groups = (tsKvList as readonly Message[]).map(({ ts, kv }) => {
    const time = integerText(ts);
    return time === "0" ? objectText(kv) : `{"ts":${time},"values":${objectText(kv)}}`;
  });
  return `[${groups.join(",")}]`;
}

/** The attributes of a typed JSON text as fixed TsKv messages; times are not known here. */
export function tsKvsOf(typedJson: string | undefined): Message[] {
  if (typedJson === undefined) return [];
  return Object.entries(readTypedJson(typedJson) as Record<string, Plain>).map(([key, value]) => ({
    ts: 0,
    kv: { key, ...typed(value) },
  }));
}

/** The fixed AttributeUpdateNotification of an update's JSON text. */
export function updateOf(json: string): Message {
  const changed = readTypedJson(json) as Record<string, Plain>;
  const { deleted, ...others } = changed;
  if (Array.isArray(deleted) && Object.keys(others).length === 0) return { sharedDeleted: deleted.map(String) };
  return { sharedUpdated: tsKvsOf(json) };
}

function typed(value: Plain): Message {
  switch (typeof value) {
    case "boolean":
      return { type: 0, bool_v: value };
    case "bigint":
      return { type: 1, long_v: value.toString() };
    case "number":
      return Number.isInteger(value) ? { type: 1, long_v: value } : { type: 2, double_v: value };
    case "string":
      return { type: 3, string_v: value };
    default:
      return value instanceof Double ? { type: 2, double_v: value.value } : { type: 4, json_v: writeTypedJson(value) };
  }
}
