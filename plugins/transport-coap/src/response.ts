import type { Option } from "coap-packet";
import { uint } from "./message.ts";
import { type Block, blockBytes } from "./request.ts";

/**
 * Learns what became of a message. What nothing confirms counts as acknowledged when it is sent, and may still be lost by
 * a reset.
 */
export interface Delivery {
  acknowledged(): void;
  lost(why: "reset" | "timeout"): void;
}

/** A body that is read piece by piece, as its blocks are asked for. */
export interface Source {
  readonly size: number;
  /** Changes with the content. */
  readonly etag: Buffer;
  read(from: number, to: number): Promise<Buffer>;
}

export interface Response {
  /** `2.05`. */
  readonly code: string;
  readonly payload?: Buffer;
  /** In the place of `payload`. */
  readonly source?: Source;
  readonly format?: number;
  readonly observe?: number;
  readonly block1?: Block;
  readonly block2?: Block;
  readonly etag?: Buffer;
  readonly size1?: number;
  readonly size2?: number;
  readonly delivery?: Delivery;
}

/** In the order of their numbers. */
export function optionsOf(response: Response): Option[] {
  const { format, observe, block1, block2, etag, size1, size2 } = response;
  const options: Option[] = [];
  if (etag !== undefined) options.push({ name: "ETag", value: etag });
  if (observe !== undefined) options.push({ name: "Observe", value: uint(observe) });
  if (format !== undefined) options.push({ name: "Content-Format", value: uint(format) });
  if (block2 !== undefined) options.push({ name: "Block2", value: blockBytes(block2) });
  if (block1 !== undefined) options.push({ name: "Block1", value: blockBytes(block1) });
  if (size2 !== undefined) options.push({ name: "Size2", value: uint(size2) });
  if (size1 !== undefined) options.push({ name: "Size1", value: uint(size1) });
  return options;
}
