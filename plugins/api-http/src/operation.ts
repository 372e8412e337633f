import type { IncomingHttpHeaders } from "node:http";
import {
  type Authority,
  type CallOptions,
  Fault,
  invalid,
  type Principal,
  type Static,
  type TSchema,
} from "@heddle/plugin-sdk";

/** A request after its sender is known and its parts have met their schemas. */
export interface Exchange<B = unknown, Q = unknown> {
  /** Throws for operations that anyone may call. */
  readonly principal: Principal;
  readonly body: B;
  readonly query: Q;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client has gone or the time is up. */
  readonly call: CallOptions;
  /** Scheme, host and port as the client sees them. */
  readonly base: string;
  /** The file of a multipart body, of operations that take one. Fault `api.upload` when there is none. */
  upload(): Promise<UploadedFile>;
  /** A text of the path. */
  param(name: string): string;
  /** A UUID of the path; fault when it is none. */
  id(name: string): string;
}

export interface UploadedFile {
  readonly fileName: string;
  readonly contentType: string;
  /** As it arrives; fault `api.upload` when it ends early. */
  readonly data: AsyncIterable<Uint8Array>;
}

/** What to send back; `json` is a value for `writeTypedJson`, the others are literal. */
export interface Answer {
  readonly status?: number;
  readonly json?: unknown;
  /** JSON text. */
  readonly raw?: string;
  readonly text?: string;
  /** Sent as fast as the client reads. */
  readonly bytes?: AsyncIterable<Uint8Array>;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path with `:names`. */
  readonly path: string;
  /** Anyone may call it without signing in, or these authorities. */
  readonly who: readonly Authority[] | "anyone";
  /** JSON body meets it; without a schema the body is the text as sent. */
  readonly body?: TSchema;
  /** The body is read as JSON whatever its content type says. */
  readonly anyType?: boolean;
  /** A body that is not JSON counts as this. */
  readonly brokenBody?: unknown;
  /** No body at all counts as this. */
  readonly emptyBody?: unknown;
  readonly query?: TSchema;
  /** Takes as long as it says itself. */
  readonly untimed?: boolean;
  /** The body is a form with a file, which `upload` gives. */
  readonly multipart?: boolean;
  run(exchange: Exchange<any, any>): Promise<Answer | undefined> | Answer | undefined;
}

type Typed<B extends TSchema, Q extends TSchema> = Omit<Operation, "body" | "query" | "run"> & {
  readonly body?: B;
  readonly query?: Q;
  run(exchange: Exchange<Static<B>, Static<Q>>): Promise<Answer | undefined> | Answer | undefined;
};

/** Gives `run` the types of its schemas. */
export function operation<B extends TSchema, Q extends TSchema>(typed: Typed<B, Q>): Operation {
  return typed as unknown as Operation;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The UUID in lower case. Fault with the text of rest-semantics 4.3. */
export function uuidOf(text: string): string {
  if (!uuid.test(text)) throw invalid(`Invalid UUID string: ${text.slice(0, 100)}`);
  return text.toLowerCase();
}

export function forbidden(): Fault {
  return new Fault("denied", "api.forbidden", "You don't have permission to perform this operation!");
}

export function notFound(kind: string, id: string): Fault {
  return new Fault("missing", "record.missing", `${kind} with id [${id}] is not found`);
}

export function nothingFound(): Fault {
  return new Fault("missing", "record.missing", "Requested item wasn't found!");
}

/** Telemetry and RPC refuse in plain text (rest-semantics 4.6). */
export function plainFault(kind: "invalid" | "denied" | "missing", text: string): Fault {
  return new Fault(kind, "api.plain", text, { data: { plainText: true } });
}

/** Repeated or separated by commas (rest-semantics 1.14). */
export function listOf(given: string | readonly string[] | undefined): string[] {
  return [given ?? []]
    .flat()
    .flatMap((text) => text.split(","))
    .filter((text) => text !== "");
}

export const systemOnly: readonly Authority[] = ["SYS_ADMIN"];
export const tenantOnly: readonly Authority[] = ["TENANT_ADMIN"];
export const tenantAndCustomer: readonly Authority[] = ["TENANT_ADMIN", "CUSTOMER_USER"];
export const systemAndTenant: readonly Authority[] = ["SYS_ADMIN", "TENANT_ADMIN"];
export const everyone: readonly Authority[] = ["SYS_ADMIN", "TENANT_ADMIN", "CUSTOMER_USER"];
