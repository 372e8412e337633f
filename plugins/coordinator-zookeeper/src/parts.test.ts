import { describe, expect, it } from "vitest";
import { memberName } from "./folder.ts";
import { decodeRecord, encodeRecord } from "./member-record.ts";
import { epochOf } from "./member-watch.ts";
import { nativeLack } from "./native.ts";
import { addressesOf, parseServers, serversPattern } from "./servers.ts";

describe("servers", () => {
  it("are hosts with or without a port", () => {
    expect(parseServers("zk1,zk2:2182,10.0.0.1:2183,[::1]:2184,[::1]")).toEqual([
      { host: "zk1", port: 2181 },
      { host: "zk2", port: 2182 },
      { host: "10.0.0.1", port: 2183 },
      { host: "::1", port: 2184 },
      { host: "::1", port: 2181 },
    ]);
  });

  it.each(["", "a,", "a b", "a:x", "a:1/chroot", "http://a", ",a"])("%j is refused", (text) => {
    expect(new RegExp(serversPattern).test(text)).toBe(false);
  });

  it("are resolved in their order; one that is unknown is left out, none is an error", async () => {
    const unknown = { host: "no-such-host.invalid", port: 1 };
    expect(await addressesOf([unknown, { host: "127.0.0.2", port: 2 }, { host: "127.0.0.1", port: 3 }])).toBe(
      "127.0.0.2:2,127.0.0.1:3",
    );
    await expect(addressesOf([unknown])).rejects.toThrow("no-such-host.invalid");
  });
});

it("every id is a name of a node", () => {
  expect(["node-1.a", ".", "..", "a/b", "ä"].map(memberName)).toEqual(["node-1.a", "%2E", "%2E%2E", "a%2Fb", "%C3%A4"]);
});

it("a record reads as it was written; what else lies there is no record", () => {
  const member = {
    ...{ id: "a", incarnation: "i", address: "a:1", roles: ["owner"] },
    ...{ weight: 1, wire: 1, partitions: 16, drained: 3 },
  };
  const record = { member, sessionMs: 6_000 };
  expect(decodeRecord(encodeRecord(record))).toEqual(record);
  expect(decodeRecord(Buffer.from(JSON.stringify({ ...record, later: 1 })))).toEqual(record);
  for (const other of ["", "null", "{}", "7", JSON.stringify({ ...record, sessionMs: "6s" })]) {
    expect(decodeRecord(Buffer.from(other))).toBeUndefined();
  }
});

it("epochs grow by one at each change, also over a folder founded anew, and are exact", () => {
  const first = new Date("2026-01-01T00:00:00Z");
  const at = (ctime: Date, cversion: number) => epochOf({ ctime, cversion });
  expect(at(first, 8)).toBe(at(first, 7) + 1);
  expect(at(new Date(first.getTime() + 10_000), 0)).toBeGreaterThan(at(first, 1_000_000));
  expect(Number.isSafeInteger(at(new Date("2200-01-01T00:00:00Z"), 2 ** 31))).toBe(true);
});

it("a native part that is missing is told with the commands that bring it", () => {
  const text = nativeLack(() => {
    throw new Error("No native build was found");
  });
  expect(text).toHaveLength(1);
  const [first, ...rest] = (text[0] as string).split("\n");
  expect(first).toContain(process.version);
  expect(rest.join("\n")).toContain("npm rebuild zookeeper --ignore-scripts=false --foreground-scripts");
  expect(nativeLack(() => {})).toEqual([]);
});
