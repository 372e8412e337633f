import type { IncomingMessage } from "node:http";
import { Fault } from "@heddle/plugin-sdk";

/** Bytes of request bodies that all requests together may hold, from their first byte to their answer. */
export class BodyBudget {
  readonly #limit: number;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False when there is no room. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#limit) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** What a request costs beside its body, so that small ones are bounded too. */
const requestBytes = 1024;

export interface BodyLimits {
  readonly maxBytes: number;
  readonly budget: BodyBudget;
}

/** `held` stays taken from the budget until the receiver gives it back; 0 with an error. */
type Done = (error: Fault | undefined, body: Buffer, held: number) => void;

/**
 * Reads a body and hands it on within the tick of its last byte. Faults: `http.body-too-large` (invalid, `data.maxBytes`),
 * `http.busy` and `http.cut` (unavailable).
 */
export function readBody(request: IncomingMessage, { maxBytes, budget }: BodyLimits, done: Done): void {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) return done(tooLarge(maxBytes), none, 0);
  if (!budget.take(requestBytes)) return done(busy(), none, 0);
  const chunks: Buffer[] = [];
  let size = 0;
  let ended = false;
  const refuse = (error: Fault) => {
    ended = true;
    chunks.length = 0;
    budget.give(requestBytes + size);
    done(error, none, 0);
  };
  request.on("data", (chunk: Buffer) => {
    if (ended) return;
    if (size + chunk.length > maxBytes) return refuse(tooLarge(maxBytes));
    if (!budget.take(chunk.length)) return refuse(busy());
    size += chunk.length;
    chunks.push(chunk);
  });
  request.on("end", () => {
    if (ended) return;
    ended = true;
    done(undefined, chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks), requestBytes + size);
  });
  // A request that is cut off has nobody left to answer.
  request.on("close", () => {
    if (!ended) refuse(new Fault("unavailable", "http.cut", "the request ended early"));
  });
}

const none = Buffer.alloc(0);

function tooLarge(maxBytes: number): Fault {
  return new Fault("invalid", "http.body-too-large", `Payload size exceeds the limit of ${maxBytes} bytes`, {
    data: { maxBytes },
  });
}

function busy(): Fault {
  return new Fault("unavailable", "http.busy", "too many request bodies in progress");
}
