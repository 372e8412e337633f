import { createHash } from "node:crypto";
import type { ChecksumAlgorithm } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { hashOf } from "./checksums.ts";

const data = Buffer.from(Array.from({ length: 1_000 }, (_, at) => (at * 7 + 3) & 0xff));
const sum = (algorithm: ChecksumAlgorithm, ...pieces: Uint8Array[]) => {
  const hash = hashOf(algorithm);
  for (const piece of pieces) hash.update(piece);
  return hash.digest().toString("hex");
};

/** Of the first n bytes, computed with mmh3 5.2 and zlib of Python: MURMUR3_32, MURMUR3_128, CRC32. */
const known: readonly (readonly [number, string, string, string])[] = [
  [0, "00000000", "00000000000000000000000000000000", "00000000"],
  [1, "76802a5e", "593e6a30ddc66a72e4a8b5c52711714e", "37be0b4b"],
  [2, "a3817ff4", "6203f73f997a39201c3622463a19ab2c", "22a8218a"],
  [3, "129d66c6", "ce3db5f3caeb3f6e88b6ff75e383bbe5", "33af586d"],
  [4, "1993008f", "06aad0de82ed290e8588c202180cb2ad", "624ed37e"],
  [5, "42adaf11", "7083c87456ed2aa8589394500832a030", "4231c8fc"],
  [7, "2df58520", "a1e36c2354bfcbbe50ef9ce392a43b2b", "db1c4954"],
  [8, "21a7ecf4", "bdd332919a2aeea53a007e613a7f9e25", "7859e3e2"],
  [15, "5b69115d", "f4e4ad805e4b6aba6df2e8f78f5a0ee0", "dc9e617c"],
  [16, "42e9f583", "a14e8f2fc599b0c448fe2ad91902677d", "9f3d1f19"],
  [17, "ea50c7fa", "27b153fe394baed4e9db81663b450266", "e35ea77b"],
  [31, "996c5a63", "fb3604f0dffe919dd0bf7e73ba51a87e", "5b9b7fd0"],
  [32, "f31b7b65", "ff430608ddb8bd650a91f3a58a1bc3be", "95860ea1"],
  [33, "ea6fc193", "1a2ff7c4d85767b1a6602d0756ee7191", "0235c56b"],
  [100, "d632c023", "d3a475b6a2526a172a281c38700baca2", "096b31aa"],
  [1_000, "221155ea", "49aadcbaef89f70a6b54bbd9b9a1d80b", "462abc17"],
];

describe("checksums (device-api 2.8)", () => {
  it("are those of other implementations, least significant byte first", () => {
    for (const [n, murmur32, murmur128, crc] of known) {
      const bytes = data.subarray(0, n);
      expect([sum("MURMUR3_32", bytes), sum("MURMUR3_128", bytes), sum("CRC32", bytes)]).toEqual([
        murmur32,
        murmur128,
        crc,
      ]);
    }
  });

  it("do not depend on how the bytes are cut", () => {
    const cuts = [1, 3, 5, 15, 16, 17, 33, 64];
    for (const algorithm of ["MURMUR3_32", "MURMUR3_128", "CRC32"] as const) {
      const whole = sum(algorithm, data);
      for (const cut of cuts) {
        const pieces = Array.from({ length: Math.ceil(data.length / cut) }, (_, at) =>
          data.subarray(at * cut, (at + 1) * cut),
        );
        expect(sum(algorithm, ...pieces)).toBe(whole);
      }
    }
  });

  it("of the MD5 and SHA kinds are the platform's", () => {
    for (const [algorithm, name] of [
      ["MD5", "md5"],
      ["SHA256", "sha256"],
      ["SHA384", "sha384"],
      ["SHA512", "sha512"],
    ] as const) {
      expect(sum(algorithm, data)).toBe(createHash(name).update(data).digest("hex"));
    }
  });
});
