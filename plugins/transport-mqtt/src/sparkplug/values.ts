import type { SparkplugPayload } from "@heddle/payload-codec";
import type { Birth } from "./birth.ts";

export interface Told {
  /** A telemetry document; undefined when nothing of the payload is telemetry. */
  readonly telemetry: string | undefined;
  /** JSON texts of shared attributes, by name. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly bdSeq: string | undefined;
}

/** Which metrics are attributes: names, or beginnings of names with a star behind (device-api 2.14). */
export function attributeMatcher(names: unknown): (name: string) => boolean {
  const list = Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  const exact = new Set(list.filter((name) => !name.endsWith("*")));
  const beginnings = list.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}

/** The values of a payload; the time of a metric wins over that of the payload. `extra` members go with its own time. */
export function valuesOf(
  payload: SparkplugPayload,
  how: { readonly type: string; readonly birth: Birth; isAttribute(name: string): boolean },
  extra: Readonly<Record<string, string>> = {},
): Told {
  const groups = new Map<string, string[]>();
  const put = (ts: number | undefined, key: string, json: string) => {
    const at = ts === undefined ? "" : String(ts);
    const group = groups.get(at) ?? [];
    group.push(`${JSON.stringify(key)}:${json}`);
    groups.set(at, group);
  };
  const attributes = new Map<string, string>();
  let bdSeq: string | undefined;
  for (const metric of payload.metrics) {
    const name = how.birth.nameOf(metric);
    if (name === undefined || metric.json === undefined) continue;
    if (name === "bdSeq") bdSeq = metric.json;
    if (how.isAttribute(name)) attributes.set(name, metric.json);
    else put(metric.ts ?? payload.ts, name === "bdSeq" ? `${how.type} bdSeq` : name, metric.json);
  }
  for (const [key, json] of Object.entries(extra)) put(payload.ts, key, json);
  const documents = [...groups].map(([ts, members]) => {
    const values = `{${members.join(",")}}`;
    return ts === "" ? values : `{"ts":${ts},"values":${values}}`;
  });
  return { telemetry: documents.length === 0 ? undefined : `[${documents.join(",")}]`, attributes, bdSeq };
}
