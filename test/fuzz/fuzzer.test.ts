import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FuzzTarget, fuzz } from "./fuzzer.ts";

let corpus: string;
beforeEach(() => {
  corpus = mkdtempSync(join(tmpdir(), "heddle-fuzz-"));
});
afterEach(() => rmSync(corpus, { recursive: true }));

/** Its defect: the byte `!` somewhere behind a `?`. */
const planted: FuzzTarget = {
  name: "planted",
  make: (dice) => Buffer.from(Array.from({ length: 40 }, () => 32 + dice.below(64))),
  check(input) {
    if (/\?.*!/s.test(input.toString("latin1"))) throw new Error("planted");
  },
};

describe("the fuzzer", () => {
  it("finds a planted defect, keeps it as small as it can be, and meets it first the next time", async () => {
    await expect(fuzz(planted, { seconds: 5, seed: 1, corpus })).rejects.toThrow(/^planted, seed 1: planted\nkept: /);
    const [file = ""] = readdirSync(join(corpus, "planted"));
    expect(readFileSync(join(corpus, "planted", file), "latin1")).toBe("?!");
    await expect(fuzz(planted, { seconds: 0, seed: 2, corpus })).rejects.toThrow(`planted: ${file}: planted`);
  });

  it("finds by changing the corpus what it would not make by itself", async () => {
    const stiff: FuzzTarget = { ...planted, name: "stiff", make: () => Buffer.from("?") };
    await expect(fuzz(stiff, { seconds: 0.05, seed: 1, corpus })).resolves.toBeGreaterThan(0);
    writeFileSync(join(corpus, "stiff", "seed"), "a!b?c");
    await expect(fuzz(stiff, { seconds: 5, seed: 1, corpus })).rejects.toThrow("planted");
  });

  it("does the same again from the same seed", async () => {
    const inputs = async () => {
      const seen: string[] = [];
      const check = (input: Buffer) => {
        seen.push(input.toString("hex"));
        if (seen.length === 50) throw new Error("enough");
      };
      await fuzz({ ...planted, name: `same-${seen.length}`, check }, { seconds: 5, seed: 7, corpus }).catch(() => {});
      rmSync(join(corpus, "same-0"), { recursive: true });
      return seen.slice(0, 50);
    };
    expect(await inputs()).toEqual(await inputs());
  });
});
