import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Fault, type HttpHandler, type HttpListener, nullId, type Principal, Type } from "@heddle/plugin-sdk";
import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiServer } from "./api-server.ts";
import { operation, systemOnly, tenantOnly } from "./operation.ts";
import type { Services } from "./services.ts";

const principal: Principal = {
  userId: "5b0a2a70-0000-11f0-8000-000000000001",
  email: "ta@example.org",
  authority: "TENANT_ADMIN",
  tenantId: "5b0a2a70-0000-11f0-8000-000000000002",
  customerId: nullId,
  sessionId: "s",
  isPublic: false,
};
const aborted: unknown[] = [];

const operations = [
  operation({ method: "GET", path: "/api/open", who: "anyone", run: () => ({ text: "hello" }) }),
  operation({ method: "GET", path: "/api/mine/:id", who: tenantOnly, run: ({ id }) => ({ json: { id: id("id") } }) }),
  operation({ method: "GET", path: "/api/system", who: systemOnly, run: () => undefined }),
  operation({
    method: "POST",
    path: "/api/echo",
    who: tenantOnly,
    body: Type.Object({ name: Type.String() }),
    query: Type.Object({ n: Type.Integer() }),
    run: ({ body, query }) => ({ json: { name: body.name, n: query.n } }),
  }),
  operation({
    method: "GET",
    path: "/api/defect",
    who: "anyone",
    run: () => {
      throw new Error("secret detail");
    },
  }),
  operation({
    method: "GET",
    path: "/api/slow",
    who: "anyone",
    run: ({ call: { signal } }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted.push((signal.reason as Fault).code);
          reject(signal.reason);
        });
      }),
  }),
];

async function* numbers(broken = false): AsyncGenerator<Buffer> {
  for (let at = 0; at < 3; at++) yield Buffer.from(`${at};`);
  if (broken) throw new Error("the store has gone");
}

operations.push(
  operation({
    method: "POST",
    path: "/api/file",
    who: tenantOnly,
    multipart: true,
    query: Type.Object({ most: Type.Optional(Type.Integer()) }),
    run: async ({ query, upload }) => {
      const { fileName, contentType, data } = await upload();
      let size = 0;
      for await (const bytes of data) {
        size += bytes.length;
        if (size > (query.most ?? size))
          throw new Fault("invalid", "test.large", "too large", { data: { status: 413 } });
      }
      return { json: { fileName, contentType, size } };
    },
  }),
  operation({
    method: "GET",
    path: "/api/file",
    who: "anyone",
    run: () => ({ type: "text/csv", headers: { "content-length": "6" }, bytes: numbers() }),
  }),
  operation({ method: "GET", path: "/api/broken", who: "anyone", run: () => ({ bytes: numbers(true) }) }),
);

let handle: HttpHandler | undefined;
const http: HttpListener = {
  mount: (_prefix, mounted) => {
    handle = mounted;
    return { [Symbol.dispose]: () => {} };
  },
  upgrade: () => ({ [Symbol.dispose]: () => {} }),
  address: { host: "127.0.0.1", port: 0 },
};
const identity = {
  authenticate: async (token: string) => {
    if (token !== "good") throw new Fault("denied", "identity.expired", "Token has expired");
    return principal;
  },
  authenticateApiKey: async () => principal,
};
const services = { world: realWorld(), log: silentLog, identity } as unknown as Services;
const api = new ApiServer({ maxBody: 1_000, requests: 10, timeout: 300 }, services, () => {});
let server: Server;
let base = "";

beforeAll(async () => {
  await api.start(http, operations);
  server = createServer((request, response) => handle?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await api.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const signed = { "X-Authorization": "Bearer good" };
const json = { ...signed, "content-type": "application/json" };
const post = (body: string, headers: Record<string, string> = json, query = "?n=1") =>
  fetch(`${base}/api/echo${query}`, { method: "POST", headers, body });
const errorOf = async (response: Response) => {
  const { status, errorCode, message } = (await response.json()) as Record<string, unknown>;
  expect(status).toBe(response.status);
  return [status, errorCode, message];
};

describe("API server", () => {
  it("R-AUTH-06 wants a token that is good, in X-Authorization before Authorization", async () => {
    const get = (headers: Record<string, string>) => fetch(`${base}/api/mine/${principal.userId}`, { headers });
    expect(await errorOf(await get({}))).toEqual([401, 10, "Authentication failed"]);
    expect(await errorOf(await get({ Authorization: "bearer good" }))).toEqual([401, 10, "Authentication failed"]);
    const both = { Authorization: "Bearer good", "X-Authorization": "Bearer old" };
    expect(await errorOf(await get(both))).toEqual([401, 11, "Token has expired"]);
    expect(await (await get(signed)).json()).toEqual({ id: principal.userId });
    expect((await get({ Authorization: "ApiKey tb_x" })).status).toBe(200);
  });

  it("refuses other authorities, unknown paths and wrong methods in this order of questions", async () => {
    const get = (path: string, init: RequestInit = { headers: signed }) => fetch(base + path, init);
    expect((await errorOf(await get("/api/system"))).slice(0, 2)).toEqual([403, 20]);
    expect(await errorOf(await get("/api/nothing/here"))).toEqual([404, 32, "No static resource api/nothing/here."]);
    expect((await errorOf(await get("/api/nothing", {}))).slice(0, 2)).toEqual([401, 10]);
    const wrong = await get("/api/open", { method: "DELETE", headers: signed });
    expect(await errorOf(wrong)).toEqual([405, 31, "Request method 'DELETE' is not supported"]);
    expect(await errorOf(await get("/api/mine/x"))).toEqual([400, 31, "Invalid UUID string: x"]);
  });

  it("checks body and parameters before anything else", async () => {
    expect(await (await post('{"name":"a","more":1}')).json()).toEqual({ name: "a", n: 1 });
    for (const body of ["{", "[]", "", '{"name":{}}'])
      expect((await errorOf(await post(body))).slice(0, 2)).toEqual([400, 31]);
    expect((await errorOf(await post('{"name":"a"}', { ...signed, "content-type": "text/plain" })))[0]).toBe(415);
    expect(await errorOf(await post('{"name":"a"}', json, ""))).toEqual([
      400,
      31,
      "Required request parameter 'n' is not present",
    ]);
    expect((await errorOf(await post('{"name":"a"}', json, "?n=x"))).slice(0, 2)).toEqual([400, 31]);
    expect((await post(JSON.stringify({ name: "x".repeat(1_000) }))).status).toBe(413);
  });

  it("keeps what is wrong inside to itself", async () => {
    const response = await fetch(`${base}/api/defect`);
    expect(await errorOf(response)).toEqual([500, 2, "Internal server error"]);
  });

  it("sends security headers with every answer, and CORS to pages of other origins", async () => {
    for (const path of ["/api/open", "/api/system"]) {
      const { headers } = await fetch(base + path, { headers: { Origin: "http://other.example" } });
      expect(headers.get("cache-control")).toBe("no-cache, no-store, max-age=0, must-revalidate");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("access-control-allow-origin")).toBe("http://other.example");
    }
    const asking = { Origin: "http://other.example", "Access-Control-Request-Method": "GET" };
    const preflight = await fetch(`${base}/api/system`, { method: "OPTIONS", headers: asking });
    expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([200, "GET"]);
  });

  it("aborts the operation when the client goes", async () => {
    aborted.length = 0;
    const gone = new AbortController();
    const request = fetch(`${base}/api/slow`, { signal: gone.signal }).catch(() => undefined);
    setTimeout(() => gone.abort(), 50);
    await request;
    await expect.poll(() => aborted).toEqual(["api.gone"]);
  });

  it("gives up after its time, and refuses more requests than its bound at once", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => fetch(`${base}/api/slow`)));
    const messages = await Promise.all(
      answers.map(async (answer) => ((await answer.json()) as { message: string }).message),
    );
    expect(answers.every(({ status }) => status === 503)).toBe(true);
    expect(messages.filter((message) => message === "Request timeout")).toHaveLength(10);
    expect(messages.filter((message) => message.startsWith("more than 10 requests"))).toHaveLength(2);
  });

  it("gives operations the file of a form as it arrives", async () => {
    const send = (size: number, query = "") => {
      const form = new FormData();
      form.append("note", "x");
      form.append("file", new Blob([Buffer.alloc(size)], { type: "application/x-thing" }), "a thing.bin");
      return fetch(`${base}/api/file${query}`, { method: "POST", headers: signed, body: form });
    };
    // Larger than what other bodies may be, and than what waits on the way.
    expect(await (await send(3_000_000)).json()).toEqual({
      fileName: "a thing.bin",
      contentType: "application/x-thing",
      size: 3_000_000,
    });
    expect(await errorOf(await send(3_000_000, "?most=10"))).toEqual([413, 31, "too large"]);
    expect((await errorOf(await send(10, "?most=x")))[0]).toBe(400);
  });

  it("says what is wrong with a form", async () => {
    const send = (body: string, type: string) =>
      fetch(`${base}/api/file`, { method: "POST", headers: { ...signed, "content-type": type }, body });
    const form = "multipart/form-data; boundary=x";
    const bad = [
      await send("{}", "application/json"),
      await send("", "multipart/form-data"),
      await send("--x--\r\n", form),
      await send('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut', form),
    ];
    for (const answer of bad) expect((await errorOf(answer)).slice(0, 2)).toEqual([400, 31]);
    // It has no other method, and no form is read by anybody else.
    expect((await errorOf(await fetch(`${base}/api/file`, { method: "DELETE", headers: signed })))[0]).toBe(405);
    const body = new FormData();
    expect((await fetch(`${base}/api/echo?n=1`, { method: "POST", headers: signed, body })).status).toBe(415);
  });

  it("sends bytes as they come, and cuts the connection rather than pretend that they ended", async () => {
    const answer = await fetch(`${base}/api/file`);
    expect([answer.headers.get("content-type"), await answer.text()]).toEqual(["text/csv", "0;1;2;"]);
    const head = await fetch(`${base}/api/file`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "6"]);
    await expect(fetch(`${base}/api/broken`).then((broken) => broken.text())).rejects.toThrow();
  });
});
