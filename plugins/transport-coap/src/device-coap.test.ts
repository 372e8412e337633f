import { Fault } from "@heddle/plugin-sdk";
import { request as coapRequest } from "coap";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { option, type Peer, serve, type TestServer } from "../testing/server.ts";

interface Answer {
  readonly code: string;
  readonly text: string;
  readonly format: unknown;
}

/** By the `coap` package: a client of another maker. */
function callAt(port: number, method: string, path: string, ...[payload, format]: string[]): Promise<Answer> {
  const [pathname = "", query = ""] = path.split("?");
  return new Promise((resolve, reject) => {
    const outgoing = coapRequest({ host: "127.0.0.1", port, method: method as "GET", pathname, query });
    if (format !== undefined) outgoing.setOption("Content-Format", format);
    outgoing.on("response", (response) => {
      const { code, payload: bytes, headers } = response;
      resolve({ code, text: bytes.toString(), format: headers["Content-Format"] });
    });
    outgoing.on("error", reject);
    outgoing.end(payload);
  });
}

describe("the device API over CoAP", () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await serve();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const call = (method: string, path: string, ...more: string[]) => callAt(server.port, method, path, ...more);

  it("COAP-01 COAP-07 posts are accepted when the platform has them", async () => {
    expect(await call("POST", "/api/v1/T1/telemetry", '{"t":21}')).toEqual({
      code: "2.01",
      text: "",
      format: undefined,
    });
    expect(await call("POST", "/api/v1/T1/attributes", "{model:A1}")).toMatchObject({ code: "2.01", text: "" });
    expect(server.platform.telemetryTexts).toEqual(['{"t":21}']);
    expect(server.platform.attributeTexts).toEqual(["{model:A1}"]);
    expect(server.platform.visits).toBe(1);
    expect(server.platform.sessions).toHaveLength(0);
  });

  it("COAP-01 2.01 is not sent before the platform has the message", async () => {
    let commit = () => {};
    server.platform.commit = () => new Promise((resolve) => (commit = resolve));
    let answered = false;
    const answer = call("POST", "/api/v1/T1/telemetry", '{"t":21}').finally(() => (answered = true));
    await vi.waitFor(() => expect(server.platform.handled).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(answered).toBe(false);
    commit();
    expect(await answer).toMatchObject({ code: "2.01" });
  });

  it("COAP-02 malformed telemetry and attributes are 4.00", async () => {
    expect(await call("POST", "/api/v1/T1/telemetry", "nonsense")).toMatchObject({ code: "4.00", text: "" });
    expect(await call("POST", "/api/v1/T1/attributes", "5")).toMatchObject({ code: "4.00" });
  });

  it("COAP-03 a bad token is 4.01, as is the certificate form", async () => {
    expect(await call("POST", "/api/v1/nobody/telemetry", "{}")).toMatchObject({ code: "4.01" });
    for (const path of ["telemetry", "attributes", "rpc", "rpc/5"]) {
      expect(await call("POST", `/api/v1/${path}`, "{}"), path).toMatchObject({ code: "4.01" });
    }
  });

  it("COAP-04 COAP-17 GET telemetry, unknown features and GET rpc without observe are 4.00", async () => {
    for (const path of ["/api/v1/T1/telemetry", "/api/v1/T1/foo", "/api/v1/T1", "/api/v1", "/api/v1/T1/rpc"]) {
      expect(await call("GET", path), path).toMatchObject({ code: "4.00" });
    }
    for (const path of ["/api/v1/T1/claims", "/api/v1/provisions", "/api/v1/T1/constructor"]) {
      expect(await call("POST", path, "{}"), path).toMatchObject({ code: "4.00" });
    }
  });

  it("COAP-05 PUT and DELETE are 4.05, what nobody listens under is 4.04", async () => {
    expect(await call("PUT", "/api/v1/T1/telemetry", "{}")).toMatchObject({ code: "4.05" });
    expect(await call("DELETE", "/api/v1/T1/attributes")).toMatchObject({ code: "4.05" });
    expect(await call("GET", "/api")).toMatchObject({ code: "4.05" });
    expect(await call("GET", "/foo")).toMatchObject({ code: "4.04" });
    expect(await call("GET", "/.well-known/core")).toMatchObject({ code: "2.05" });
  });

  it("COAP-06 attributes are read by name, all of them without names, and 4.04 when there are none", async () => {
    expect(await call("GET", "/api/v1/T1/attributes")).toMatchObject({ code: "4.04", text: "" });
    server.platform.client = { a: "1", b: '"x"' };
    server.platform.shared = { c: "true" };
    const read = async (query: string) => (await call("GET", `/api/v1/T1/attributes?${query}`)).text;
    expect(await call("GET", "/api/v1/T1/attributes")).toMatchObject({
      code: "2.05",
      text: '{"client":{"a":1,"b":"x"},"shared":{"c":true}}',
      format: "application/json",
    });
    expect(await read("clientKeys=a,zz&sharedKeys=c")).toBe('{"client":{"a":1},"shared":{"c":true}}');
    expect(await read("clientKeys=b")).toBe('{"client":{"b":"x"}}');
    expect(await call("GET", "/api/v1/T1/attributes?sharedKeys=nope")).toMatchObject({ code: "4.04" });
  });

  it("the format of the request comes back, and is not looked at", async () => {
    server.platform.client = { a: "1" };
    expect(await call("GET", "/api/v1/T1/attributes", "", "text/plain")).toMatchObject({
      code: "2.05",
      format: "text/plain",
    });
    expect(await call("POST", "/api/v1/T1/Telemetry", "{}", "application/octet-stream")).toMatchObject({
      code: "2.01",
    });
  });

  it("COAP-11 the answer to a call is an object", async () => {
    expect(await call("POST", "/api/v1/T1/rpc/7", " {ok:true} ")).toMatchObject({ code: "2.01" });
    for (const text of ["5", "[1]", '"x"', "", "{"]) {
      expect(await call("POST", "/api/v1/T1/rpc/7", text), text).toMatchObject({ code: "5.00" });
    }
    expect(server.platform.replies).toEqual([{ id: 7, text: " {ok:true} " }]);
  });

  it("COAP-12 a device's own call is answered by the platform", async () => {
    server.platform.answer = async ({ payload }) => `{"got":${Buffer.from(payload).toString()}}`;
    expect(await call("POST", "/api/v1/T1/rpc", '{"method":"m"}')).toMatchObject({
      code: "2.05",
      text: '{"got":{"method":"m"}}',
      format: "application/json",
    });
    expect(await call("POST", "/api/v1/T1/rpc/x", '{"method":"n"}')).toMatchObject({ code: "2.05" });
  });

  it("a malformed call is 5.00", async () => {
    server.platform.answer = async () => {
      throw new Fault("invalid", "device.payload", "no method");
    };
    expect(await call("POST", "/api/v1/T1/rpc", "{}")).toMatchObject({ code: "5.00" });
  });

  it("COAP-19 no package is assigned; a package needs a good token", async () => {
    expect(await call("GET", "/fw/T1")).toMatchObject({ code: "4.04" });
    expect(await call("GET", "/sw/nobody")).toMatchObject({ code: "4.01" });
    expect(await call("GET", "/fw")).toMatchObject({ code: "4.01" });
    expect(await call("GET", "/fw/T1/b")).toMatchObject({ code: "4.01" });
    expect(await call("POST", "/fw/T1", "{}")).toMatchObject({ code: "4.05" });
  });

  it("COAP-22 a profile of another transport is 5.00, one for CoAP is served", async () => {
    server.platform.device("M", { transportType: "MQTT" });
    server.platform.device("C", { transportType: "COAP" });
    expect(await call("POST", "/api/v1/M/telemetry", "{}")).toMatchObject({ code: "5.00" });
    expect(await call("POST", "/api/v1/C/telemetry", "{}")).toMatchObject({ code: "2.01" });
  });

  it("a profile that wants Protobuf takes no JSON", async () => {
    const transportPayloadTypeConfiguration = { transportPayloadType: "PROTOBUF" };
    const transport = { coapDeviceTypeConfiguration: { transportPayloadTypeConfiguration } };
    server.platform.device("P", { transportType: "COAP", transport });
    expect(await call("POST", "/api/v1/P/telemetry", "{}")).toMatchObject({ code: "4.00" });
  });

  it.each([
    ["unavailable", "lane.full", "5.03"],
    ["exhausted", "queue.full", "5.03"],
    ["exhausted", "device.rate-limit", "5.00"],
    ["internal", "internal", "5.00"],
  ] as const)("a fault of kind %s (%s) is %s", async (kind, code, answer) => {
    server.platform.commit = () => Promise.reject(new Fault(kind, code, "trouble"));
    expect(await call("POST", "/api/v1/T1/telemetry", "{}")).toMatchObject({ code: answer, text: "" });
    expect(server.errors).toHaveLength(kind === "internal" ? 1 : 0);
  });

  it("COAP-16 a path in one option is the same path", async () => {
    const peer: Peer = await server.peer();
    for (const path of ["api/v1/T1/telemetry", "/api/v1/T1/telemetry"]) {
      const options = [{ name: "Uri-Path", value: Buffer.from(path) }];
      peer.send({ code: "POST", confirmable: true, options, payload: Buffer.from("{}") });
    }
    await vi.waitFor(() => expect(peer.received.map(({ code }) => code)).toEqual(["2.01", "2.01"]));
    expect(option(peer.received[0], "Observe")).toBeUndefined();
  });

  it("says where it listens", () => {
    expect(server.notes).toEqual([`coap://127.0.0.1:${server.port}`]);
    expect(server.server.health()).toEqual({ state: "up" });
  });
});

it("COAP-13 a call that nobody answers is 5.04 after 10 s", async () => {
  await using server = await serve({}, 10);
  server.platform.answer = () => new Promise(() => {});
  const began = performance.now();
  expect(await callAt(server.port, "POST", "/api/v1/T1/rpc", '{"method":"m"}')).toMatchObject({ code: "5.04" });
  expect((performance.now() - began) * 10).toBeGreaterThan(9_500);
});
