import { type Down, downTopics, type Family, type Single, singleTopics } from "./topics.ts";

export type KnownFilter =
  | { readonly down: Down; readonly family: Family }
  | { readonly single: Single; readonly down?: undefined };

/** Filters are compared as exact texts (device-api 2.3); the place in this table is the bit that a device has set. */
const filters: KnownFilter[] = [];
const bits = new Map<string, number>();
for (const [down, topics] of Object.entries(downTopics) as [Down, readonly string[]][]) {
  for (const [family, topic] of topics.entries()) {
    bits.set(down === "attributes" ? topic : `${topic}+`, filters.length);
    filters.push({ down, family: family as Family });
  }
}
const firstSingle = filters.length;
for (const [single, topic] of Object.entries(singleTopics) as [Single, string][]) {
  bits.set(topic, filters.length);
  filters.push({ single });
}
const families = downTopics.attributes.length;
const downs = Object.keys(downTopics) as Down[];
const singles = Object.keys(singleTopics) as Single[];

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
    return filters[bit];
  }

  /** Undefined when the device had not subscribed it. */
  remove(filter: string): KnownFilter | undefined {
    const bit = bits.get(filter);
    if (bit === undefined || (this.#granted & (1 << bit)) === 0) return undefined;
    this.#granted &= ~(1 << bit);
    return filters[bit];
  }

  /** What was granted, and 1 where nothing was subscribed (device-api 2.1). */
  qosOf(down: Down, family: Family): 0 | 1 {
    return this.#qosAt(downs.indexOf(down) * families + family);
  }

  qosOfSingle(single: Single): 0 | 1 {
    return this.#qosAt(firstSingle + singles.indexOf(single));
  }

  #qosAt(place: number): 0 | 1 {
    const bit = 1 << place;
    return (this.#granted & bit) !== 0 && (this.#atQos1 & bit) === 0 ? 0 : 1;
  }
}
