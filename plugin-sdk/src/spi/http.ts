import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { capability } from "../define/capability.ts";

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** One listener shared by the plugins that speak HTTP; the longest matching prefix gets the request. */
export interface HttpListener {
  /** `prefix` begins with a slash; `/` takes what nobody else wants. */
  mount(prefix: string, handle: HttpHandler): Disposable;
  upgrade(prefix: string, handle: UpgradeHandler): Disposable;
  /** Where it listens; after start. */
  readonly address: { readonly host: string; readonly port: number };
}
export const HttpListener = capability<HttpListener>("http-listener@1");
