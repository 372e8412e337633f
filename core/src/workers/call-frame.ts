import { decodePlain, encodePlain, type Plain } from "@heddle/plugin-sdk";

/**
 * Frames between a worker and its parent, which are always of one version: `[kind, id, …]`.
 * From the worker: a call `[0, id, service, method, args, pages]`, `[1, id]` takes it back, `[2, id, n]` allows n more
 * pages. From the parent: `[3, id, value]` and `[4, id, fault]` end a call, `[5, id, value]` is a page.
 */
export const frameKind = { call: 0, cancel: 1, more: 2, value: 3, fault: 4, page: 5 } as const;

export function encodeCallFrame(...parts: readonly Plain[]): Uint8Array {
  return encodePlain(parts);
}

export function decodeCallFrame(bytes: Uint8Array): readonly any[] {
  return decodePlain(bytes) as readonly any[];
}
