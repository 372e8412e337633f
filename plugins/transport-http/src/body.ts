import type { IncomingMessage } from "node:http";
import { Fault } from "@heddle/plugin-sdk";

/** Bytes of request bodies that all requests together may hold. */
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

export interface BodyLimits {
  readonly maxBytes: number;
  readonly budget: BodyBudget;
}

/**
 * Reads a body and hands it on within the tick of its last byte. Faults: `http.body-too-large` (invalid, `data.maxBytes`),
 * `http.busy` (unavailable).
 */
export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  done: (error: Fault | undefined, body: Buffer) => void,
): void {
  const { maxBytes, budget } = limits;
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) return done(tooLarge(maxBytes), none);
  const chunks: Buffer[] = [];
  let size = 0;
  let ended = false;
  const end = (error: Fault | undefined, body: Buffer) => {
    if (ended) return;
    ended = true;
    budget.give(size);
    done(error, body);
  };
  request.on("data", (chunk: Buffer) => {
    if (ended) return;
    if (size + chunk.length > maxBytes) return end(tooLarge(maxBytes), none);
    if (!budget.take(chunk.length))
      return end(new Fault("unavailable", "http.busy", "too many request bodies in progress"), none);
    size += chunk.length;
    chunks.push(chunk);
  });
  request.on("end", () => end(undefined, chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
  // A request that is cut off has nobody left to answer.
  request.on("close", () => {
    if (!ended) end(new Fault("unavailable", "http.cut", "the request ended early"), none);
  });
}

const none = Buffer.alloc(0);

function tooLarge(maxBytes: number): Fault {
  return new Fault("invalid", "http.body-too-large", `Payload size exceeds the limit of ${maxBytes} bytes`, {
    data: { maxBytes },
  });
}
