import { it } from "vitest";

/** MQTT 3.1.1 and 5: what a row with two columns is run on. */
export type Level = 4 | 5;
const versionOf = { 4: "3.1.1", 5: "5" } as const;

/** One row of the device API's conformance table; its id begins the test's name, and the table in the docs is made of these. */
export function row(id: string, what: string, run: () => Promise<void>, ms?: number): void {
  it(`${id} ${what}`, run, ms);
}

/** A row that is run on both versions of MQTT. */
export function rowOnBoth(id: string, what: string, run: (level: Level) => Promise<void>, ms?: number): void {
  for (const level of [4, 5] as const) it(`${id} ${what} (MQTT ${versionOf[level]})`, () => run(level), ms);
}
