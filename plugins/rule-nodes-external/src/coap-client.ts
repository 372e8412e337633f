import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { Fault } from "@heddle/plugin-sdk";
import { Agent, type IncomingMessage, type OutgoingMessage } from "coap";

/** Largest answer that is put together from blocks. */
export const mostAnswerBytes = 256 * 1024;
/** A body above one block goes out in blocks of this size, as the option says it: 1024 bytes. */
const blockBytes = 1_024;
const blockOption = Buffer.of(6);
const defaultPort = 5_683;

export interface CoapRequest {
  readonly url: URL;
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "FETCH" | "PATCH";
  readonly confirmable: boolean;
  readonly contentFormat: number;
  readonly body: Buffer | undefined;
}

export interface CoapAnswer {
  /** `2.05` and the like. */
  readonly code: string;
  readonly payload: Buffer;
}

/** Requests over UDP, one socket for each version of IP from the first request on. */
export class CoapClient {
  readonly #agents = new Map<"udp4" | "udp6", { readonly agent: Agent; readonly socket: Socket }>();

  /** Rejects with the reason of `signal`, or a fault `coap.request` (unavailable). */
  send(request: CoapRequest, signal: AbortSignal): Promise<CoapAnswer> {
    const { url, method, confirmable, contentFormat, body } = request;
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const options = {
      "Uri-Path": partsOf(url.pathname.slice(1), "/"),
      "Uri-Query": partsOf(url.search.slice(1), "&"),
      ...(body === undefined ? {} : { "Content-Format": contentFormat }),
      ...(body !== undefined && body.length > blockBytes ? { Block1: blockOption } : {}),
    };
    const agent = this.#agent(isIPv6(hostname) ? "udp6" : "udp4");
    const port = url.port === "" ? defaultPort : Number(url.port);
    return new Promise((resolve, reject) => {
      const sent = agent.request({ hostname, port, method, confirmable, options });
      let over = false;
      const fail = (error: unknown) => {
        if (over) return;
        over = true;
        signal.removeEventListener("abort", cancel);
        agent.abort(sent);
        reject(error);
      };
      const cancel = () => fail(signal.reason);
      signal.addEventListener("abort", cancel, { once: true });
      // Errors of a request that is over would otherwise end the process.
      sent.on("error", (error: Error) => fail(failed(error.message)));
      sent.on("timeout", () => fail(failed("not confirmed")));
      sent.on("response", ({ code, payload }: IncomingMessage) => {
        if (over) return;
        over = true;
        signal.removeEventListener("abort", cancel);
        resolve({ code, payload });
      });
      boundAnswer(sent, () => fail(failed(`the answer has more than ${mostAnswerBytes} bytes`)));
      sent.end(body);
    });
  }

  close(): void {
    for (const { agent, socket } of this.#agents.values()) {
      agent.close();
      socket.close();
    }
    this.#agents.clear();
  }

  #agent(type: "udp4" | "udp6"): Agent {
    const known = this.#agents.get(type);
    if (known !== undefined) return known.agent;
    // With a socket of its own the agent would close it after each request, while the next one may be using it.
    const socket = createSocket(type);
    const agent = new Agent({ socket });
    // Requests hear of errors themselves.
    agent.on("error", () => {});
    this.#agents.set(type, { agent, socket });
    return agent;
  }
}

/** The library asks for block after block by this option, without a limit of its own. */
function boundAnswer(sent: OutgoingMessage, exceeded: () => void): void {
  const setOption = sent.setOption.bind(sent);
  sent.setOption = (name, value) => {
    if (name === "Block2" && Buffer.isBuffer(value)) {
      const option = value.readUIntBE(0, value.length);
      const size = 2 ** ((option & 7) + 4);
      // Later: it is about to send the next request, which must not outlive this one.
      if ((option >>> 4) * size >= mostAnswerBytes) setImmediate(exceeded);
    }
    return setOption(name, value);
  };
}

function partsOf(text: string, separator: string): Buffer[] {
  if (text === "") return [];
  return text.split(separator).map((part) => Buffer.from(decodeURIComponent(part)));
}

function failed(why: string): Fault {
  return new Fault("unavailable", "coap.request", why);
}
