import { createSocket } from "node:dgram";
import type { Plain } from "@heddle/plugin-sdk";
import { World } from "@heddle/plugin-sdk";
import { describePlugin, describeRuleNode, exampleMsg, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { createServer, type IncomingMessage, type OutgoingMessage, type Server } from "coap";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { mostAnswerBytes } from "./coap-client.ts";
import { coapRequest } from "./coap-request.ts";
import card from "./index.ts";

type Config = Parameters<typeof coapRequest.create>[0]["config"];
const world = realWorld();

/** An independent server on a port of its own. */
let server: Server;
let port = 0;
const heard: { method: string; url: string; confirmable: boolean; format: unknown; body: string }[] = [];
let silent = false;

function serve(request: IncomingMessage, response: OutgoingMessage): void {
  const { method = "", url, headers, payload } = request;
  const confirmable = request._packet.confirmable === true;
  heard.push({ method: String(method), url, confirmable, format: headers["Content-Format"], body: payload.toString() });
  if (silent) return;
  if (url.startsWith("/large")) return void response.end(Buffer.alloc(Number(url.split("?")[1]), "x"));
  if (url.startsWith("/text")) return void response.end("not json");
  if (url.startsWith("/refuse")) response.code = "4.03";
  response.end(url.startsWith("/empty") ? "" : '{"big":1234567890123456789,"d":25.0}');
}

beforeAll(async () => {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  port = socket.address().port;
  server = createServer(serve);
  server.listen(socket);
});
afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())));

const nodes: AsyncDisposable[] = [];
afterEach(async () => {
  silent = false;
  heard.length = 0;
  for (const node of nodes.splice(0)) await node[Symbol.asyncDispose]();
});

function setUp(path: string, more: Partial<Config> = {}) {
  const defaults = Object.fromEntries(
    Object.entries(coapRequest.config.properties).map(([name, schema]) => [name, schema.default]),
  );
  const coapUrlPattern = path.startsWith("/") ? `coap://127.0.0.1:${port}${path}` : path;
  const context = { log: silentLog, tenantId: "t", ruleChainId: "c", ruleNodeId: "n", name: "coap" };
  const config = { ...defaults, coapUrlPattern, ...more } as Config;
  const node = coapRequest.create({ ...context, config, deps: { world } } as never);
  nodes.push(node as unknown as AsyncDisposable);
  const stop = new AbortController();
  const turn = {
    ...{ signal: stop.signal, trace: "", to: (relation: string, msg: object) => ({ relation, msg }) },
    with: (msg: object, change: object) => ({ ...msg, ...change }),
  };
  const send = async (data: Plain = { t: 1 }, metadata: Record<string, string> = {}, dataType = "JSON") => {
    const msg = exampleMsg({ data, metadata, dataType: dataType as "JSON" });
    return (await node.onMsg(msg, turn as never)) as unknown as { relation: string; msg: typeof msg };
  };
  return { send, stop };
}

describePlugin(card, { deps: new Map<string, unknown>([[World.id, world]]) });

describeRuleNode(coapRequest, {
  deps: { world },
  examples: [
    { config: { coapUrlPattern: "http://localhost/" }, msg: {}, relations: ["Failure"] },
    {
      config: {
        get coapUrlPattern() {
          return `coap://127.0.0.1:${port}/ok`;
        },
      },
      msg: { data: { t: 1 } },
      relations: ["Success"],
    },
  ],
});

describe("coap request", () => {
  it("sends the message, and goes on with the answer, whose numbers keep their type", async () => {
    const { send } = setUp("/things/${deviceName}?q=$[a.b]&fix=1");
    const { relation, msg } = await send({ a: { b: 7 } }, { deviceName: "north/1 %" });
    expect(relation).toBe("Success");
    expect(msg.metadata).toEqual({ deviceName: "north/1 %", statusCode: "2.05" });
    expect(msg.data).toMatchObject({ big: 1234567890123456789n, d: { value: 25 } });
    // A slash that was filled in is one of its segment.
    expect(heard).toEqual([
      {
        method: "POST",
        url: "/things/north/1 %?q=7&fix=1",
        confirmable: true,
        format: "application/json",
        body: '{"a":{"b":7}}',
      },
    ]);
  });

  it.each(["GET", "DELETE"] as const)("%s has no body", async (requestMethod) => {
    await setUp("/ok", { requestMethod }).send();
    expect(heard).toMatchObject([{ method: requestMethod, body: "" }]);
  });

  it("may be unconfirmed, without a body, or with a text as it is", async () => {
    await setUp("/ok", { requestMethod: "PUT", confirmable: false }).send({});
    await setUp("/ok", { ignoreRequestBody: true }).send();
    await setUp("/ok", { parseToPlainText: true, contentFormat: 0 }).send("plain");
    await setUp("/ok", { contentFormat: 0 }).send("text", {}, "TEXT");
    expect(heard.map(({ confirmable, body }) => [confirmable, body])).toEqual([
      [false, "{}"],
      [true, ""],
      [true, "plain"],
      [true, "text"],
    ]);
  });

  it("an answer that is no JSON goes on as text, none as an empty object", async () => {
    expect((await setUp("/text").send()).msg).toMatchObject({ data: "not json", dataType: "TEXT" });
    expect((await setUp("/empty").send()).msg).toMatchObject({ data: {}, dataType: "JSON" });
  });

  it("a refusal takes Failure and says what was answered; the message stays", async () => {
    const { relation, msg } = await setUp("/refuse").send({ t: 1 });
    expect(relation).toBe("Failure");
    expect(msg.data).toEqual({ t: 1 });
    expect(msg.metadata).toMatchObject({ statusCode: "4.03", error_body: expect.stringContaining("big") });
  });

  it("bodies and answers of many blocks", async () => {
    const { send } = setUp("/large?50000");
    const { msg } = await send({ long: "y".repeat(20_000) });
    expect(String(msg.data)).toHaveLength(50_000);
    expect(heard.at(-1)?.body).toHaveLength(20_011);
  });

  it("an answer without end takes Failure", async () => {
    const { relation, msg } = await setUp(`/large?${mostAnswerBytes + 2_000}`).send();
    expect([relation, msg.metadata["error"]]).toEqual(["Failure", `the answer has more than ${mostAnswerBytes} bytes`]);
  });

  it("no answer in time takes Failure, and the next message is served", async () => {
    const { send } = setUp("/ok", { timeoutMs: 200 });
    silent = true;
    expect((await send()).msg.metadata["error"]).toBe("no answer within 200 ms");
    silent = false;
    expect((await send()).relation).toBe("Success");
  });

  it("beyond its requests in progress messages take Failure", async () => {
    const { send } = setUp("/ok", { timeoutMs: 400, maxParallelRequestsCount: 2 });
    silent = true;
    const all = await Promise.all([send(), send(), send()]);
    expect(all.map(({ msg }) => msg.metadata["error"])).toEqual([
      ...["no answer within 400 ms", "no answer within 400 ms", "2 requests of this node wait for answers"],
    ]);
  });

  it("a turn that ends takes its request with it", async () => {
    const { send, stop } = setUp("/ok");
    silent = true;
    const sending = send();
    stop.abort(new Error("the turn is over"));
    await expect(sending).rejects.toThrow("the turn is over");
  });

  it.each([
    ["coaps://localhost/x", "coap://host:port/path is wanted"],
    ["nonsense", "coap://host:port/path is wanted"],
    ["coap://127.0.0.1/%zz", "no percent encoding: %zz"],
    [`coap://127.0.0.1/${"x".repeat(256)}`, "a part of the path has 256 bytes, 255 are the most"],
    ["coap://${absent}/x", "coap://host:port/path is wanted"],
  ])("%s takes Failure and says why", async (url, why) => {
    const { relation, msg } = await setUp(url).send();
    expect(relation).toBe("Failure");
    expect(msg.metadata["error"]).toContain(why);
  });

  it("a pattern about the body of a message that is no JSON takes Failure", async () => {
    const { msg } = await setUp("/$[a]").send("text", {}, "TEXT");
    expect(msg.metadata["error"]).toBe("Failed to process pattern!");
  });
});
