import type { InRecord } from "@heddle/plugin-sdk";
import type { IHeaders, KafkaMessage } from "kafkajs";

const empty = Buffer.alloc(0);

/** A record as the driver gives it, as ours. */
export function recordOf({ key, value, headers, offset, timestamp }: KafkaMessage, partition: number): InRecord {
  const record = {
    partition,
    key: key === null ? "" : key.toString("utf8"),
    body: value ?? empty,
    position: offset,
    attempt: 1,
    sentAt: Number(timestamp),
  };
  const texts = textsOf(headers);
  return texts === undefined ? record : { ...record, headers: texts };
}

function textsOf(headers: IHeaders | undefined): Record<string, string> | undefined {
  let texts: Record<string, string> | undefined;
  for (const name in headers) {
    const value = headers[name];
    texts ??= {};
    // Kafka lets a name come twice; the last one counts.
    texts[name] = String(Array.isArray(value) ? value.at(-1) : (value ?? ""));
  }
  return texts;
}
