import { crc32 } from "node:zlib";
import type { World } from "@heddle/plugin-sdk";
import type { Block, Request } from "./request.ts";
import type { Response } from "./response.ts";
import { type TransferLimits, Transfers } from "./transfers.ts";

export interface BlockLimits extends TransferLimits {
  /** Largest body of an upload. */
  readonly body: number;
}

interface Upload {
  readonly parts: Buffer[];
  bytes: number;
}

interface Download {
  readonly body: Buffer;
  readonly bytes: number;
  readonly response: Response;
  readonly etag: Buffer;
}

interface BlockwiseOptions {
  readonly world: World;
  readonly limits: BlockLimits;
  handle(request: Request): Promise<Response>;
}

/** What is larger goes in blocks. */
const largestSzx = 6;

/**
 * RFC 7959 in front of the resources. Transfers are told apart by peer, path and Request-Tag, never by token: a client
 * may use a new token for each block.
 */
export class Blockwise {
  readonly #options: BlockwiseOptions;
  readonly #uploads: Transfers<Upload>;
  readonly #downloads: Transfers<Download>;

  constructor(options: BlockwiseOptions) {
    this.#options = options;
    this.#uploads = new Transfers(options.limits);
    this.#downloads = new Transfers(options.limits);
  }

  get bytes(): number {
    return this.#uploads.bytes + this.#downloads.bytes;
  }

  expire(): void {
    const now = this.#options.world.elapsed();
    this.#uploads.expire(now);
    this.#downloads.expire(now);
  }

  handle(request: Request): Promise<Response> {
    const { block1, block2 } = request;
    if (block2 !== undefined && block2.num > 0 && !block1?.more) return this.#next(request, block2);
    if (block1 !== undefined && request.method === "POST") return this.#upload(request, block1);
    return this.#whole(request);
  }

  /** The response as one message: its first block, when it is larger; the rest waits to be asked for. */
  cut(request: Request, response: Response): Response {
    const body = response.payload;
    const num = request.block2?.num ?? 0;
    const szx = Math.min(request.block2?.szx ?? largestSzx, largestSzx);
    if (body === undefined || !response.code.startsWith("2.") || (num === 0 && body.length <= 16 << szx)) {
      return response;
    }
    const etag = Buffer.alloc(4);
    etag.writeUInt32BE(crc32(body));
    const download = { body, bytes: body.length, response, etag };
    this.#downloads.put(keyOf(request), download, this.#options.world.elapsed());
    return slice(download, { num, szx, more: false });
  }

  async #whole(request: Request): Promise<Response> {
    const { body } = this.#options.limits;
    if (request.payload.length > body) return { code: "4.13", size1: body };
    return this.cut(request, await this.#options.handle(request));
  }

  /** A later block of what was answered; a GET whose answer has gone is read again. */
  async #next(request: Request, block: Block): Promise<Response> {
    const key = keyOf(request);
    const download = this.#downloads.get(key);
    if (download === undefined) return request.method === "GET" ? this.#whole(request) : { code: "4.08" };
    this.#downloads.put(key, download, this.#options.world.elapsed());
    return slice(download, { ...block, szx: Math.min(block.szx, largestSzx) });
  }

  async #upload(request: Request, block1: Block): Promise<Response> {
    const { num, more, szx } = block1;
    const { payload, size1 = 0 } = request;
    const key = keyOf(request);
    const limit = this.#options.limits.body;
    const offset = num * (16 << szx);
    const end = offset + payload.length;
    if (payload.length > 16 << szx || (more && payload.length < 16 << szx)) return { code: "4.00", block1 };
    if (num === 0) this.#uploads.delete(key);
    const upload = num === 0 ? { parts: [], bytes: 0 } : this.#uploads.get(key);
    if (upload === undefined) return { code: "4.08", block1 };
    // A block that came again under another message id.
    if (more && num > 0 && end <= upload.bytes) return { code: "2.31", block1 };
    if (offset !== upload.bytes) return { code: "4.08", block1 };
    if (Math.max(end, size1) > limit) {
      this.#uploads.delete(key);
      return { code: "4.13", block1, size1: limit };
    }
    if (more) {
      // The bytes themselves: the datagram they came in has room for more.
      upload.parts.push(Buffer.from(payload));
      upload.bytes = end;
      this.#uploads.put(key, upload, this.#options.world.elapsed());
      return { code: "2.31", block1 };
    }
    this.#uploads.delete(key);
    const body = Buffer.concat([...upload.parts, payload]);
    return { ...(await this.#whole({ ...request, payload: body })), block1 };
  }
}

function slice({ body, response, etag }: Download, { num, szx }: Block): Response {
  const size = 16 << szx;
  const start = num * size;
  if (start >= body.length) return { code: "4.00" };
  const block2 = { num, szx, more: start + size < body.length };
  const { observe, delivery, ...kept } = response;
  const first = num === 0 ? response : kept;
  return {
    ...first,
    payload: body.subarray(start, start + size),
    block2,
    etag,
    ...(num === 0 ? { size2: body.length } : {}),
  };
}

function keyOf({ from, method, path, query, tag }: Request): string {
  return JSON.stringify([from.key, method, path, query, tag]);
}
