import { expect, it } from "vitest";
import { satisfies } from "./semver-range.ts";

it.each([
  ["1.4.2", "^1.0", true],
  ["2.0.0", "^1.0", false],
  ["1.4.2", "^1.5", false],
  ["0.2.9", "^0.2.1", true],
  ["0.3.0", "^0.2.1", false],
  ["0.0.4", "^0.0.3", false],
  ["1.4.2", "~1.4.0", true],
  ["1.5.0", "~1.4.0", false],
  ["1.9.0", "~1", true],
  ["1.4.2", "1.x", true],
  ["1.4.2", "1.3", false],
  ["1.4.2", "*", true],
  ["1.4.2", "1.4.2", true],
  ["1.4.3", "=1.4.2", false],
  ["1.4.2", ">=1.2 <1.5", true],
  ["1.5.0", ">= 1.2 < 1.5", false],
  ["3.0.0", "^1 || ^3", true],
  ["1.2.5", "<=1.2", true],
  ["1.3.0", ">1.2", true],
  ["1.2.5", ">1.2", false],
  ["nonsense", "*", false],
  ["1.0.0", "latest", false],
])("%s in %s: %s", (version, range, expected) => {
  expect(satisfies(version, range)).toBe(expected);
});
