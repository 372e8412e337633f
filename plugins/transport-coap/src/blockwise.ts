import { crc32 } from "node:zlib";
import type { World } from "@heddle/plugin-sdk";
import type { Block, Request } from "./request.ts";
import type { Response, Source } from "./response.ts";
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
  readonly source: Source;
  /** What it takes in memory. */
  readonly bytes: number;
  readonly response: Response;
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
    const { payload } = response;
    if (payload === undefined || !this.#isCut(request, response, payload.length)) return response;
    const etag = Buffer.alloc(4);
    etag.writeUInt32BE(crc32(payload));
    const source = { size: payload.length, etag, read: async (from: number, to: number) => payload.subarray(from, to) };
    const block = blockFor(request);
    this.#keep(request, { source, bytes: payload.length, response });
    return slice({ source, response }, block, payload.subarray(...rangeOf(block)));
  }

  async #whole(request: Request): Promise<Response> {
    const { body } = this.#options.limits;
    if (request.payload.length > body) return { code: "4.13", size1: body };
    const response = await this.#options.handle(request);
    const { source } = response;
    if (source === undefined) return this.cut(request, response);
    if (!this.#isCut(request, response, source.size)) return bare(response, await source.read(0, source.size));
    this.#keep(request, { source, bytes: 0, response });
    return this.#piece({ source, response }, blockFor(request));
  }

  #isCut({ block2 }: Request, { code }: Response, size: number): boolean {
    const szx = Math.min(block2?.szx ?? largestSzx, largestSzx);
    return code.startsWith("2.") && ((block2?.num ?? 0) > 0 || size > 16 << szx);
  }

  #keep(request: Request, download: Download): void {
    this.#downloads.put(keyOf(request), download, this.#options.world.elapsed());
  }

  async #piece(download: Pick<Download, "source" | "response">, block: Block): Promise<Response> {
    const [from, to] = rangeOf(block);
    const { source } = download;
    if (from >= source.size) return { code: "4.00" };
    return slice(download, block, await source.read(from, Math.min(to, source.size)));
  }

  /** A later block of what was answered; a GET whose answer has gone is read again. */
  async #next(request: Request, block: Block): Promise<Response> {
    const download = this.#downloads.get(keyOf(request));
    if (download === undefined) return request.method === "GET" ? this.#whole(request) : { code: "4.08" };
    this.#keep(request, download);
    return this.#piece(download, { ...block, szx: Math.min(block.szx, largestSzx) });
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

/** The block that a request asks for, the first where it does not say. */
function blockFor({ block2 }: Request): Block {
  return { num: block2?.num ?? 0, szx: Math.min(block2?.szx ?? largestSzx, largestSzx), more: false };
}

function rangeOf({ num, szx }: Block): [from: number, to: number] {
  const size = 16 << szx;
  return [num * size, (num + 1) * size];
}

function bare({ source: _, ...response }: Response, payload: Buffer): Response {
  return { ...response, payload };
}

function slice(
  { source, response }: Pick<Download, "source" | "response">,
  { num, szx }: Block,
  payload: Buffer,
): Response {
  const [from, to] = rangeOf({ num, szx, more: false });
  if (from >= source.size) return { code: "4.00" };
  const block2 = { num, szx, more: to < source.size };
  const { observe, delivery, ...kept } = response;
  const first = num === 0 ? response : kept;
  return {
    ...bare(first, payload),
    block2,
    etag: source.etag,
    ...(num === 0 ? { size2: source.size } : {}),
  };
}

function keyOf({ from, method, path, query, tag }: Request): string {
  return JSON.stringify([from.key, method, path, query, tag]);
}
