import { type CallOptions, type Collection, type CollectionSpec, type EntityStore, Fault } from "@heddle/plugin-sdk";

/** Bytes of a piece; a multiple of three, so that pieces in base64 can be joined to one text. */
export const pieceBytes = 96 * 1024;
/** Pieces that are written at once. */
const piecesAtOnce = 8;
/** Pieces that are removed at once. */
const removedAtOnce = 256;

interface PieceDocument {
  /** `<data>/<number>`, from 0. */
  readonly id: string;
  /** Base64. */
  readonly bytes: string;
}
const pieceCollection: CollectionSpec<PieceDocument> = { name: "ota-piece", id: "id", indexes: [], listed: false };

const idOf = (dataId: string, index: number): string => `${dataId}/${index}`;

/** Bytes of packages as documents of bounded size; who they belong to is written elsewhere. */
export class PackageBytes {
  readonly #pieces: Collection<PieceDocument>;

  constructor(entities: EntityStore) {
    this.#pieces = entities.collection(pieceCollection);
  }

  /** Holds as little as a few pieces in memory, however much there is; resolves with the size. */
  async write(dataId: string, data: AsyncIterable<Uint8Array>, call: CallOptions): Promise<number> {
    let waiting: Buffer[] = [];
    let size = 0;
    for await (const piece of piecesOf(data)) {
      call.signal.throwIfAborted();
      waiting.push(piece);
      size += piece.length;
      if (waiting.length < piecesAtOnce) continue;
      await this.#put(dataId, size, waiting, call);
      waiting = [];
    }
    await this.#put(dataId, size, waiting, call);
    return size;
  }

  async #put(dataId: string, written: number, pieces: readonly Buffer[], call: CallOptions): Promise<void> {
    const first = Math.ceil(written / pieceBytes) - pieces.length;
    const items = pieces.map((bytes, at) => {
      const value = { id: idOf(dataId, first + at), bytes: bytes.toString("base64") };
      return { value, expect: "any" as const };
    });
    if (items.length > 0) await this.#pieces.put(items, call);
  }

  async piece(dataId: string, index: number, call: CallOptions): Promise<Buffer> {
    const [found] = await this.#pieces.get([idOf(dataId, index)], call);
    if (found !== undefined) return Buffer.from(found.value.bytes, "base64");
    throw new Fault("missing", "ota.no-data", `piece ${index} of ${dataId} is not there`);
  }

  /** `size`: at least as many bytes as were written. */
  async drop(dataId: string, size: number, call: CallOptions): Promise<void> {
    const count = Math.ceil(size / pieceBytes);
    for (let from = 0; from < count; from += removedAtOnce) {
      const length = Math.min(removedAtOnce, count - from);
      const ids = Array.from({ length }, (_, at) => idOf(dataId, from + at));
      await this.#pieces.remove(ids, call);
    }
  }
}

/** Cut anew: all but the last are `pieceBytes` long. */
async function* piecesOf(data: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafe(pieceBytes);
  let filled = 0;
  for await (const bytes of data) {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + pieceBytes - filled);
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < pieceBytes) continue;
      yield piece;
      piece = Buffer.allocUnsafe(pieceBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
