import { type ChecksumAlgorithm, Fault, invalid, onAbort, type World } from "@heddle/plugin-sdk";
import { hashOf } from "./checksums.ts";

export interface Room {
  readonly bytes: number;
  /** That there is no more. */
  fault(): Fault;
}

/** The bytes as they come, counted and summed; faults as soon as there are too many. */
export class Upload {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #algorithm: ChecksumAlgorithm;
  readonly #room: Room;
  readonly #hash;
  #size = 0;

  constructor(source: AsyncIterable<Uint8Array>, algorithm: ChecksumAlgorithm, room: Room) {
    this.#source = source;
    this.#algorithm = algorithm;
    this.#room = room;
    this.#hash = hashOf(algorithm);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#source) {
      this.#size += bytes.length;
      if (this.#size > this.#room.bytes) throw this.#room.fault();
      this.#hash.update(bytes);
      yield bytes;
    }
  }

  /** Bytes so far. */
  get seen(): number {
    return this.#size;
  }

  /** After the last byte: what there was, if it is what was said. */
  end(expected: string | undefined): { checksumAlgorithm: ChecksumAlgorithm; checksum: string; dataSize: number } {
    if (this.#size === 0) throw invalid("OtaPackage data should be specified!");
    const checksum = this.#hash.digest().toString("hex");
    if (expected !== undefined && expected !== "" && expected.toLowerCase() !== checksum) {
      throw invalid("Wrong otaPackage file!");
    }
    return { checksumAlgorithm: this.#algorithm, checksum, dataSize: this.#size };
  }
}

/** Aborts with the caller's signal, and with a fault when the time is up. */
export function limited(world: World, ms: number, signal: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const end = new AbortController();
  const forget = onAbort(signal, () => end.abort(signal.reason));
  const timer = world.timer(ms, () => {
    end.abort(new Fault("unavailable", "ota.upload-time", `an upload took longer than ${ms} ms`));
  });
  return {
    signal: end.signal,
    [Symbol.dispose]: () => {
      forget();
      timer[Symbol.dispose]();
    },
  };
}
