import { Fault } from "@heddle/plugin-sdk";
import type { Entry } from "./ack-line.ts";
import { type KnownTopic, requestIdOf } from "./topics.ts";

export type Meta = Readonly<Record<string, string>>;

/** One publish with its topic and payload, wherever they came from. */
export interface Told {
  readonly topic: Buffer;
  readonly from: number;
  readonly to: number;
  readonly payload: Buffer;
  readonly entry: Entry;
  meta: Meta | undefined;
}

export function topicText({ topic, from, to }: Told): string {
  return topic.toString("utf8", from, to);
}

export const isPattern = (topic: string) => topic.includes("+") || topic.includes("#");

/** The request id behind the topic's prefix; fault `mqtt.payload` when it is none. */
export function idOf({ topic, from, to }: Told, { bytes }: KnownTopic): number {
  const text = topic.toString("utf8", from + bytes.length, to);
  const id = requestIdOf(text);
  if (id !== undefined) return id;
  throw new Fault(
    "invalid",
    "mqtt.payload",
    `a request id is a 32-bit integer, not ${JSON.stringify(text.slice(0, 20))}`,
  );
}
