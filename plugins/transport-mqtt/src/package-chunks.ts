import {
  type CallOptions,
  Fault,
  type OtaPackageDocument,
  type OtaPackageType,
  type Session,
} from "@heddle/plugin-sdk";
import type { Downstream } from "./downstream.ts";
import type { Told } from "./told.ts";
import type { ChunkTopic } from "./topics.ts";
import type { Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** Downloads that a connection remembers; the one begun first goes first. */
const mostDownloads = 16;

interface Download {
  readonly found: OtaPackageDocument;
  /** Bytes of a chunk, as asked for last; 0: the whole. */
  size: number;
}

const types: Readonly<Record<ChunkTopic["kind"], OtaPackageType>> = { fw: "FIRMWARE", sw: "SOFTWARE" };

/** Packages piece by piece (device-api 2.8): one at a time, and the next when the device has read the one before. */
export class PackageChunks {
  readonly #wire: Wire;
  readonly #session: Session;
  readonly #up: Upstream;
  readonly #down: Downstream;
  readonly #downloads = new Map<string, Download>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(wire: Wire, parts: { readonly session: Session; readonly up: Upstream; readonly down: Downstream }) {
    this.#wire = wire;
    this.#session = parts.session;
    this.#up = parts.up;
    this.#down = parts.down;
  }

  request({ entry, payload }: Told, topic: ChunkTopic): void {
    const size = sizeOf(payload);
    if (size > this.#wire.common.limits.maxPacket) throw noPackage("PAYLOAD_TOO_LARGE");
    const call = { signal: this.#session.closed };
    let piece: Buffer | undefined;
    const ready = this.#turn.then(async () => {
      await this.#wire.drained(call.signal);
      piece = await this.#read(topic, size, call);
    });
    const run = this.#up.line.wait(entry, ready, payload.length);
    // The next one waits until this one is written, and does not mind what became of it.
    this.#turn = ready.then(
      () => this.#up.line.after(run, () => this.#write(topic, piece ?? Buffer.alloc(0))),
      () => {},
    );
  }

  async #read(topic: ChunkTopic, size: number, call: CallOptions): Promise<Buffer> {
    const download = await this.#downloadOf(topic, call);
    if (size > 0) download.size = size;
    const { found } = download;
    const total = found.dataSize ?? 0;
    const from = download.size === 0 ? (topic.chunk === 0 ? 0 : total) : topic.chunk * download.size;
    const to = download.size === 0 ? total : from + download.size;
    if (from >= total) return Buffer.alloc(0);
    return this.#wire.common.packages.read(found.id, { from, to: Math.min(to, total) }, call);
  }

  /** The package of a request stays the same, even when another one is assigned meanwhile. */
  async #downloadOf({ kind, request }: ChunkTopic, call: CallOptions): Promise<Download> {
    const key = `${kind}/${request}`;
    const known = this.#downloads.get(key);
    if (known !== undefined) return known;
    this.#session.spend();
    const { deviceId } = this.#session.device;
    const found = await this.#wire.common.packages.assigned(deviceId, types[kind], call);
    if (found === undefined) throw noPackage("NOT_FOUND");
    if (found.url !== null || !found.hasData) throw noPackage("FAILURE");
    const download = { found, size: 0 };
    if (this.#downloads.size >= mostDownloads) this.#downloads.delete(this.#downloads.keys().next().value as string);
    this.#downloads.set(key, download);
    return download;
  }

  #write({ kind, request, chunk }: ChunkTopic, piece: Buffer): void {
    const topic = `v2/${kind}/response/${request}/chunk/${chunk}`;
    this.#down.publish(kind === "fw" ? "firmwareChunk" : "softwareChunk", piece, { topic, patient: true });
  }
}

/** The chunk size in decimal digits; nothing asks for the size used last. */
function sizeOf(payload: Buffer): number {
  if (payload.length === 0) return 0;
  const text = payload.toString("latin1");
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Fault("invalid", "mqtt.uncaught", "a chunk size is a whole number in decimal digits");
}

/** The message goes to the device, on the topic for errors. */
function noPackage(why: "PAYLOAD_TOO_LARGE" | "NOT_FOUND" | "FAILURE"): Fault {
  return new Fault("invalid", "mqtt.package", why);
}
