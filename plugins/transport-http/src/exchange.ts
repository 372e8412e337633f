import type { IncomingMessage, ServerResponse } from "node:http";

const base = "/api/v1/";

/** A request of a device, taken apart. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly token: string;
  /** Segments behind the token. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  /** IP address of the peer. */
  readonly address: string;
}

/** Undefined when the path names nothing of this API. */
export function exchangeOf(request: IncomingMessage, response: ServerResponse): Exchange | undefined {
  const url = request.url ?? "";
  const mark = url.indexOf("?");
  const path = (mark < 0 ? url : url.slice(0, mark)).slice(base.length).replace(/\/$/, "");
  const [token = "", ...rest] = path.split("/");
  if (token === "") return undefined;
  const query = mark < 0 ? noQuery : new URLSearchParams(url.slice(mark + 1));
  const address = request.socket.remoteAddress ?? "";
  return { request, response, token: decoded(token), path: rest, query, address };
}

const noQuery = new URLSearchParams();

function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Not an encoding: then the text is the token as it stands.
    return text;
  }
}

/** A comma-separated list; undefined when it is not there or empty. */
export function keysOf(query: URLSearchParams, name: string): readonly string[] | undefined {
  const text = query.get(name);
  return text === null || text === "" ? undefined : text.split(",");
}
