import { abortable, type CallOptions } from "@heddle/plugin-sdk";
import { pieceBytes } from "./package-bytes.ts";

/** Pieces that were read last, and those being read: a fleet that fetches one package reads each piece once. */
export class PieceCache {
  readonly #most: number;
  readonly #read: (dataId: string, index: number) => Promise<Buffer>;
  readonly #pieces = new Map<string, Promise<Buffer>>();

  /** `read` runs for everybody who waits, so it must not end with the call of one of them. */
  constructor(bytes: number, read: (dataId: string, index: number) => Promise<Buffer>) {
    this.#most = Math.max(1, Math.floor(bytes / pieceBytes));
    this.#read = read;
  }

  get(dataId: string, index: number, { signal }: CallOptions): Promise<Buffer> {
    const key = `${dataId}/${index}`;
    const piece = this.#pieces.get(key) ?? this.#begin(key, dataId, index);
    this.#pieces.delete(key);
    this.#pieces.set(key, piece);
    return abortable(piece, signal);
  }

  #begin(key: string, dataId: string, index: number): Promise<Buffer> {
    for (const oldest of this.#pieces.keys()) {
      if (this.#pieces.size < this.#most) break;
      this.#pieces.delete(oldest);
    }
    const piece = this.#read(dataId, index);
    piece.catch(() => {
      if (this.#pieces.get(key) === piece) this.#pieces.delete(key);
    });
    return piece;
  }
}
