import { type Down, downTopics, type Family } from "./topics.ts";

const downs: readonly Down[] = ["attributes", "attributeResponse", "rpcRequest", "rpcResponse"];

/** Filters are compared as exact texts (device-api 2.3); the place in this table is the bit that a device has set. */
const bits = new Map<string, number>();
for (const [row, down] of downs.entries()) {
  for (const [family, topic] of downTopics[down].entries()) {
    bits.set(down === "attributes" ? topic : `${topic}+`, row * 3 + family);
  }
}

export interface KnownFilter {
  readonly down: Down;
  readonly family: Family;
}

/** What a device has subscribed: two numbers, since most of a million devices have nothing else. */
export class Subscriptions {
  #granted = 0;
  #atQos1 = 0;

  /** Undefined when the filter is none that this server knows. */
  add(filter: string, qos: 0 | 1): KnownFilter | undefined {
    const bit = bits.get(filter);
    if (bit === undefined) return undefined;
    this.#granted |= 1 << bit;
    this.#atQos1 = qos === 1 ? this.#atQos1 | (1 << bit) : this.#atQos1 & ~(1 << bit);
    return filterAt(bit);
  }

  /** Undefined when the device had not subscribed it. */
  remove(filter: string): KnownFilter | undefined {
    const bit = bits.get(filter);
    if (bit === undefined || (this.#granted & (1 << bit)) === 0) return undefined;
    this.#granted &= ~(1 << bit);
    return filterAt(bit);
  }

  /** What was granted, and 1 where nothing was subscribed (device-api 2.1). */
  qosOf(down: Down, family: Family): 0 | 1 {
    const bit = 1 << (downs.indexOf(down) * 3 + family);
    return (this.#granted & bit) !== 0 && (this.#atQos1 & bit) === 0 ? 0 : 1;
  }
}

function filterAt(bit: number): KnownFilter {
  return { down: downs[Math.trunc(bit / 3)]!, family: (bit % 3) as Family };
}
