import {
  type Attribute,
  dataTs,
  type Msg,
  type Plain,
  type Point,
  type Scope,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { DeviceTopic } from "./topics.ts";

/** JSON of the device topics: `ts` (ms since the epoch), `deviceName`, `deviceType`, and what the topic is about. */

interface Named {
  readonly name: string | undefined;
  readonly type: string | undefined;
}
const about = ({ name, type }: Named, ts: number) => ({
  ts,
  ...(name === undefined ? {} : { deviceName: name }),
  ...(type === undefined ? {} : { deviceType: type }),
});

/** The newest values of all keys; nothing when there are none. */
export function telemetryText(device: Named, points: readonly Point[]): string[] {
  if (points.length === 0) return [];
  const ts = points.reduce((newest, point) => Math.max(newest, point.ts), Number.MIN_SAFE_INTEGER);
  const values = Object.fromEntries(points.map(({ key, value }) => [key, value]));
  return [writeTypedJson({ ...about(device, ts), values })];
}

export function attributesText(
  device: Named,
  { scope, values }: { readonly scope: Scope; readonly values: readonly Attribute[] },
): string[] {
  if (values.length === 0) return [];
  const ts = values.reduce((newest, { lastUpdateTs }) => Math.max(newest, lastUpdateTs), 0);
  return [
    writeTypedJson({
      ...about(device, ts),
      scope,
      values: Object.fromEntries(values.map(({ key, value }) => [key, value])),
    }),
  ];
}

/** Attributes that say when an event was last (device-api 7.1). */
const lastOf = {
  lastConnectTime: "CONNECT_EVENT",
  lastDisconnectTime: "DISCONNECT_EVENT",
  inactivityAlarmTime: "INACTIVITY_EVENT",
} as const;

/** The newest of the events that leave a mark on the device; nothing when there was none. */
export function stateText(device: Named, server: readonly Attribute[]): string[] {
  let newest: { readonly ts: number; readonly type: string } | undefined;
  for (const { key, value } of server) {
    const type = lastOf[key as keyof typeof lastOf];
    const ts = Number(value);
    if (type !== undefined && ts > 0 && ts > (newest?.ts ?? 0)) newest = { ts, type };
  }
  return newest === undefined ? [] : [writeTypedJson({ ...about(device, newest.ts), type: newest.type })];
}

/** Topic and text of a message about a device. */
export function messageText(msg: Msg): { readonly what: DeviceTopic; readonly text: string } {
  const { metadata, type, data } = msg;
  const name = metadata["deviceName"] ?? metadata["entityName"];
  const device = about({ name, type: metadata["deviceType"] }, dataTs(msg));
  switch (type) {
    case "POST_TELEMETRY_REQUEST":
      return { what: "telemetry", text: writeTypedJson({ ...device, values: data }) };
    case "POST_ATTRIBUTES_REQUEST":
      return { what: "attributes", text: writeTypedJson({ ...device, scope: "CLIENT_SCOPE", values: data }) };
    case "ATTRIBUTES_UPDATED":
      return { what: "attributes", text: writeTypedJson({ ...device, scope: scopeOf(metadata), values: data }) };
    case "ATTRIBUTES_DELETED":
      return {
        what: "attributes",
        text: writeTypedJson({ ...device, scope: scopeOf(metadata), deleted: keysOf(data) }),
      };
    default:
      return { what: "event", text: writeTypedJson({ ...device, type, data }) };
  }
}

const scopeOf = (metadata: Msg["metadata"]) => metadata["scope"] ?? "SERVER_SCOPE";
const keysOf = (data: Plain): Plain => (data as { readonly attributes?: Plain } | null)?.attributes ?? data;
