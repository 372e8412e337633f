import type { Endpoint } from "./datagrams.ts";
import { type Message, uint, uintOf } from "./message.ts";

/** A block of RFC 7959: its number, whether more follow, and its size as an exponent (16 << szx). */
export interface Block {
  readonly num: number;
  readonly more: boolean;
  readonly szx: number;
}

export interface Request {
  readonly from: Endpoint;
  readonly token: Buffer;
  readonly confirmable: boolean;
  /** `GET`, `POST`, or the code of another method. */
  readonly method: string;
  /** Segments of the path, however its options were cut. */
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly observe: number | undefined;
  readonly format: number | undefined;
  readonly block1: Block | undefined;
  readonly block2: Block | undefined;
  /** Announced size of the whole body. */
  readonly size1: number | undefined;
  /** Request-Tag of RFC 9175, hexadecimal. */
  readonly tag: string;
  readonly payload: Buffer;
}

/** `code` is the refusal of a request that is well-formed as a message. */
export type Refusal = { readonly refused: string };

const methods: Readonly<Record<string, string>> = {
  "0.01": "GET",
  "0.02": "POST",
  "0.03": "PUT",
  "0.04": "DELETE",
};
/** Critical options with a meaning that is not served here (RFC 7252 section 5.4.1). */
const notServed = new Set(["If-Match", "If-None-Match", "OSCORE", "Q-Block1", "Q-Block2"]);
const requestTag = "292";
const bad: Refusal = { refused: "4.02" };
const noProxy: Refusal = { refused: "5.05" };

export function readRequest(message: Message, from: Endpoint): Request | Refusal {
  const { code, token, confirmable, payload } = message;
  const read = { path: [] as string[], query: [] as string[], tag: "" };
  const numbers: Record<string, number | undefined> = {};
  for (const { name, value } of message.options) {
    if (name === "Uri-Path") addPath(read.path, value.toString("utf8"));
    else if (name === "Uri-Query") read.query.push(value.toString("utf8"));
    else if (String(name) === requestTag) read.tag = value.toString("hex");
    else if (name === "Proxy-Uri" || name === "Proxy-Scheme") return noProxy;
    else if (isNumeric(name)) {
      const number = uintOf(value, widths[name]);
      // A repeated or overlong option counts as not understood (RFC 7252 sections 5.4.3 and 5.4.5).
      if (number === undefined || numbers[name] !== undefined) {
        if (critical.has(name)) return bad;
      } else numbers[name] = number;
    } else if (notServed.has(String(name)) || isUnknownCritical(String(name))) return bad;
  }
  const block1 = blockOf(numbers["Block1"]);
  const block2 = blockOf(numbers["Block2"]);
  if (block1 === "reserved" || block2 === "reserved") return { refused: "4.00" };
  return {
    from,
    token,
    confirmable,
    method: methods[code] ?? code,
    ...read,
    observe: numbers["Observe"],
    format: numbers["Content-Format"],
    block1,
    block2,
    size1: numbers["Size1"],
    payload,
  };
}

const widths = { Observe: 3, "Content-Format": 2, Block1: 3, Block2: 3, Size1: 4 } as const;
const critical: ReadonlySet<string> = new Set(["Block1", "Block2"]);

function isNumeric(name: string | number): name is keyof typeof widths {
  return Object.hasOwn(widths, name);
}

/** The codec names an option it does not know by its number, as text. */
function isUnknownCritical(name: string): boolean {
  return Number(name) % 2 === 1;
}

/** Several clients send a whole path as one option, some with a slash in front (device-api 4.1). */
function addPath(path: string[], text: string): void {
  if (!text.includes("/")) path.push(text);
  else path.push(...text.replace(/^\//, "").split("/"));
}

function blockOf(value: number | undefined): Block | undefined | "reserved" {
  if (value === undefined) return undefined;
  const szx = value & 7;
  return szx === 7 ? "reserved" : { num: value >>> 4, more: (value & 8) !== 0, szx };
}

export function blockBytes({ num, more, szx }: Block): Buffer {
  return uint(num * 16 + (more ? 8 : 0) + szx);
}
