import {
  defineRuleNode,
  Fault,
  type Msg,
  type Plain,
  readTypedJson,
  Type,
  World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { type CoapAnswer, CoapClient, type CoapRequest } from "./coap-client.ts";
import { filledIn } from "./pattern.ts";

const mostBodyBytes = 1024 * 1024;
/** RFC 7252, 5.10. */
const mostPartBytes = 255;
const hostname = /^([\w.-]+|\[[\da-f:.]+\])$/i;
const methods = ["GET", "POST", "PUT", "DELETE", "FETCH", "PATCH"] as const;

const Config = Type.Object({
  coapUrlPattern: Type.String({
    default: "coap://localhost/data",
    description: "With ${metadata} and $[body] filled in.",
  }),
  requestMethod: Type.Union(
    methods.map((method) => Type.Literal(method)),
    { default: "POST", description: "GET and DELETE have no body." },
  ),
  confirmable: Type.Boolean({ default: true, description: "Repeated until it is confirmed." }),
  contentFormat: Type.Integer({ default: 50, minimum: 0, maximum: 65_535, description: "Of the body; 50 is JSON." }),
  ignoreRequestBody: Type.Boolean({ default: false, description: "Send no body." }),
  parseToPlainText: Type.Boolean({
    default: false,
    description: "A body that is a JSON text goes without its quotes.",
  }),
  timeoutMs: Type.Integer({ default: 10_000, minimum: 1, maximum: 300_000, description: "For the answer." }),
  maxParallelRequestsCount: Type.Integer({
    default: 100,
    minimum: 1,
    maximum: 10_000,
    description: "Requests of this node that wait for their answers; beyond it messages take Failure.",
  }),
});

export const coapRequest = defineRuleNode({
  type: "heddle.coap-request",
  version: 0,
  category: "external",
  title: "coap request",
  summary: "Sends the message to a CoAP server; the answer goes on in its place.",
  relations: ["Success", "Failure"],
  config: Config,
  requires: { world: World },
  create: ({ config, deps: { world } }) => {
    const client = new CoapClient();
    const closed = new AbortController();
    let open = 0;
    const answered = async (msg: Msg, signal: AbortSignal): Promise<CoapAnswer> => {
      const { maxParallelRequestsCount: most, timeoutMs } = config;
      if (open >= most) throw new Fault("exhausted", "coap.open", `${most} requests of this node wait for answers`);
      const request = requestOf(msg, config);
      const limit = new AbortController();
      const late = new Fault("unavailable", "coap.unanswered", `no answer within ${timeoutMs} ms`);
      const timer = world.timer(timeoutMs, () => limit.abort(late));
      open++;
      try {
        return await client.send(request, AbortSignal.any([limit.signal, closed.signal, signal]));
      } finally {
        open--;
        timer[Symbol.dispose]();
      }
    };
    return {
      async onMsg(msg, turn) {
        const more = (metadata: Readonly<Record<string, string>>) => ({ ...msg.metadata, ...metadata });
        let answer: CoapAnswer;
        try {
          answer = await answered(msg, turn.signal);
        } catch (error) {
          turn.signal.throwIfAborted();
          return turn.to("Failure", turn.with(msg, { metadata: more({ error: (error as Error).message }) }));
        }
        const { code, payload } = answer;
        if (code.startsWith("2.")) {
          return turn.to("Success", turn.with(msg, { metadata: more({ statusCode: code }), ...bodyOf(payload) }));
        }
        const metadata = more({ statusCode: code, error_body: payload.toString() });
        return turn.to("Failure", turn.with(msg, { metadata }));
      },
      async [Symbol.asyncDispose]() {
        closed.abort(new Fault("unavailable", "coap.stopped", "the rule node has stopped"));
        client.close();
      },
    };
  },
});

type Settings = Pick<
  (typeof Config)["static"],
  "coapUrlPattern" | "requestMethod" | "confirmable" | "contentFormat" | "ignoreRequestBody" | "parseToPlainText"
>;

function requestOf(msg: Msg, config: Settings): CoapRequest {
  const { requestMethod: method, confirmable, contentFormat, ignoreRequestBody, parseToPlainText } = config;
  const body =
    ignoreRequestBody || method === "GET" || method === "DELETE" ? undefined : bytesOf(msg, parseToPlainText);
  if (body !== undefined && body.length > mostBodyBytes) {
    throw new Fault("invalid", "coap.body", `a body of ${body.length} bytes, ${mostBodyBytes} are the most`);
  }
  return { url: urlOf(msg, config.coapUrlPattern), method, confirmable, contentFormat, body };
}

/** What is filled in behind the host stays within its part: a slash in it makes no further one. */
function urlOf(msg: Msg, pattern: string): URL {
  const host = pattern.indexOf("://") + 3;
  const behind = host + pattern.slice(host).search(/[/?#]|$/);
  const text = filledIn(pattern, msg, (value, at) => (at < behind ? value : encodeURIComponent(value)));
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "coap:" || !hostname.test(url.hostname) || url.username !== "") {
    throw new Fault("invalid", "coap.url", `coap://host:port/path is wanted, not ${text.slice(0, 200)}`);
  }
  for (const part of [...url.pathname.split("/"), ...url.search.slice(1).split("&")]) {
    const bytes = Buffer.byteLength(decoded(part));
    if (bytes > mostPartBytes) {
      throw new Fault("invalid", "coap.url", `a part of the path has ${bytes} bytes, ${mostPartBytes} are the most`);
    }
  }
  return url;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new Fault("invalid", "coap.url", `no percent encoding: ${part.slice(0, 100)}`, { cause });
  }
}

function bytesOf({ data, dataType }: Msg, plainText: boolean): Buffer {
  if (data instanceof Uint8Array) return Buffer.from(data);
  if (dataType !== "JSON" || (plainText && typeof data === "string")) return Buffer.from(String(data));
  return Buffer.from(writeTypedJson(data));
}

/** An answer that is not JSON goes on as text, none as an empty object. */
function bodyOf(payload: Buffer): { readonly data: Plain; readonly dataType: Msg["dataType"] } {
  const text = payload.toString();
  if (text.trim() === "") return { data: {}, dataType: "JSON" };
  try {
    return { data: readTypedJson(text), dataType: "JSON" };
  } catch {
    return { data: text, dataType: "TEXT" };
  }
}
