import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ChecksumAlgorithm } from "@heddle/plugin-sdk";
import { type Hash, Murmur3Of32, Murmur3Of128 } from "./murmur3.ts";

const names = { MD5: "md5", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512" } as const;

/** Sums of CRC32 and MURMUR3 show their least significant byte first: devices in the field compare them so. */
export function hashOf(algorithm: ChecksumAlgorithm): Hash {
  switch (algorithm) {
    case "CRC32":
      return new Crc32();
    case "MURMUR3_32":
      return new Murmur3Of32();
    case "MURMUR3_128":
      return new Murmur3Of128();
    default:
      return createHash(names[algorithm]);
  }
}

class Crc32 implements Hash {
  #sum = 0;

  update(bytes: Uint8Array): void {
    this.#sum = crc32(bytes, this.#sum);
  }

  digest(): Buffer {
    const out = Buffer.alloc(4);
    out.writeUInt32LE(this.#sum);
    return out;
  }
}
