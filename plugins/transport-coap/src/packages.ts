import { crc32 } from "node:zlib";
import type { CallOptions, OtaPackageDocument, OtaPackages, OtaPackageType } from "@heddle/plugin-sdk";
import type { Response } from "./response.ts";

const octets = 42;
const bad: Response = { code: "4.00" };

/** A package as the response to a GET: its blocks are read as they are asked for (device-api 4.7). */
export async function packageResponse(
  packages: OtaPackages,
  wanted: { readonly deviceId: string; readonly type: OtaPackageType; readonly query: readonly string[] },
  call: CallOptions,
): Promise<Response> {
  const query = new Map(wanted.query.map((part) => cutAt(part, "=")));
  const [size, chunk] = [countOf(query.get("size")), countOf(query.get("chunk"))];
  if (size === undefined || chunk === undefined) return bad;
  const found = await packages.assigned(wanted.deviceId, wanted.type, call);
  if (found === undefined || found.url !== null || !found.hasData) return { code: "4.04" };
  if (differs(query.get("title"), found.title) || differs(query.get("version"), found.version)) return bad;
  const total = found.dataSize ?? 0;
  const from = size === 0 ? 0 : Math.min(size * chunk, total);
  const to = size === 0 ? total : Math.min(from + size, total);
  const source = {
    size: to - from,
    etag: etagOf(found, from, to),
    read: (start: number, end: number) => packages.read(found.id, { from: from + start, to: from + end }, call),
  };
  return source.size === 0 ? { code: "2.05", payload: Buffer.alloc(0) } : { code: "2.05", source, format: octets };
}

function cutAt(part: string, mark: string): [string, string] {
  const at = part.indexOf(mark);
  return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
}

/** Absent is 0; undefined is no whole number. */
function countOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return 0;
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

const differs = (asked: string | undefined, is: string) => asked !== undefined && asked !== is;

/** A client that finds another one in the middle of a transfer knows that the package has changed. */
function etagOf({ id, checksum }: OtaPackageDocument, from: number, to: number): Buffer {
  const etag = Buffer.alloc(4);
  etag.writeUInt32BE(crc32(`${id}/${checksum}/${from}/${to}`));
  return etag;
}
