import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { CallOptions, OtaPackageDocument, OtaPackages } from "@heddle/plugin-sdk";

/** What is read from the package at a time: more would only wait in memory for the device. */
const pieceBytes = 256 * 1024;

export interface Slice {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** The bytes that `size` and `chunk` name; size 0 is the whole (device-api 3.7). Beyond the end there are none. */
export function chunkOf(total: number, { size, chunk }: { readonly size: number; readonly chunk: number }): Slice {
  if (size <= 0) return { from: 0, to: total };
  const from = Math.min(chunk * size, total);
  return { from, to: Math.min(from + size, total) };
}

/** One range of RFC 9110, 14.2; undefined for what is none or several, which then count as absent; empty beyond the end. */
export function rangeOf(header: string | undefined, total: number): Slice | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return undefined;
  if (first === "") return { from: Math.max(0, total - Number(last)), to: total };
  const from = Number(first);
  if (last !== "" && Number(last) < from) return undefined;
  return { from: Math.min(from, total), to: last === "" ? total : Math.min(Number(last) + 1, total) };
}

export interface Download {
  readonly packages: OtaPackages;
  readonly found: OtaPackageDocument;
  readonly slice: Slice;
  /** By a Range header, which a device may use to go on after a cut. */
  readonly ranged: boolean;
}

/** Writes the slice as fast as the device reads it. */
export async function sendPackage(response: ServerResponse, download: Download, call: CallOptions): Promise<number> {
  const { found, slice, ranged } = download;
  const total = found.dataSize ?? 0;
  const name = found.fileName ?? found.title;
  const unsatisfied = ranged && slice.from >= slice.to;
  const status = unsatisfied ? 416 : ranged ? 206 : 200;
  const range = unsatisfied ? `bytes */${total}` : `bytes ${slice.from}-${slice.to - 1}/${total}`;
  response.writeHead(status, {
    "content-type": found.contentType ?? "application/octet-stream",
    "content-disposition": `attachment;filename=${headerText(name)}`,
    "x-filename": headerText(name),
    "content-length": slice.to - slice.from,
    "accept-ranges": "bytes",
    ...(ranged ? { "content-range": range } : {}),
  });
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const signal = AbortSignal.any([call.signal, gone.signal]);
  for (let from = slice.from; from < slice.to && !gone.signal.aborted; from += pieceBytes) {
    const piece = await download.packages.read(
      found.id,
      { from, to: Math.min(from + pieceBytes, slice.to) },
      { signal },
    );
    if (!response.write(piece)) await once(response, "drain", { signal });
  }
  response.end();
  return status;
}

/** Names come from users; a header holds visible ASCII. */
function headerText(name: string): string {
  return encodeURIComponent(name).replaceAll("%20", " ");
}
