import { afterAll, beforeAll, describe, expect } from "vitest";
import { row } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

describe.concurrent("device-api 9.8, HTTP", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  async function send(method: string, path: string, body?: string, headers: Record<string, string> = {}) {
    const answer = await fetch(`${target.http}/api/v1/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  }
  const post = (path: string, body?: string, headers?: Record<string, string>) => send("POST", path, body, headers);
  const get = (path: string) => send("GET", path);
  const ok = { status: 200, text: "" };
  const begun = () => pause(400);

  row("HTTP-01", "telemetry in all its forms", async () => {
    const { id, token } = await tenant.device();
    for (const body of ['{"a":1}', '[{"b":2}]', '{"ts":1700000000000,"values":{"c":3}}']) {
      expect(await post(`${token}/telemetry`, body)).toMatchObject(ok);
    }
    await eventually(
      () => tenant.latest(id),
      ({ a, b, c }) => a?.value === 1 && b?.value === 2 && c?.ts === 1_700_000_000_000,
    );
  });
  row("HTTP-02", "an unknown token is 401, without a body", async () => {
    expect(await post("nobody/telemetry", "{}")).toMatchObject({ status: 401, text: "" });
  });
  row("HTTP-03", "malformed JSON is 500", async () => {
    const { token } = await tenant.device();
    expect((await post(`${token}/telemetry`, '{"a":1')).status).toBe(500);
  });
  row("HTTP-04", "`{}` is taken", async () => {
    const { token } = await tenant.device();
    expect(await post(`${token}/telemetry`, "{}")).toMatchObject(ok);
  });
  row("HTTP-05", "and so is `[]`", async () => {
    const { token } = await tenant.device();
    expect(await post(`${token}/telemetry`, "[]")).toMatchObject(ok);
  });
  row("HTTP-06", "no body is 400", async () => {
    const { token } = await tenant.device();
    expect((await post(`${token}/telemetry`)).status).toBe(400);
  });
  row("HTTP-07", "the content type does not matter", async () => {
    const { token } = await tenant.device();
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"]) {
      expect(await post(`${token}/telemetry`, '{"a":1}', { "content-type": type })).toMatchObject(ok);
    }
  });
  row("HTTP-08", "attributes are one object", async () => {
    const { id, token } = await tenant.device();
    expect(await post(`${token}/attributes`, '{"k":1}')).toMatchObject(ok);
    expect((await post(`${token}/attributes`, '[{"k":1}]')).status).toBe(500);
    await eventually(
      () => tenant.attributes(id, "CLIENT_SCOPE"),
      ({ k }) => k === 1,
    );
  });

  async function withAttributes() {
    const device = await tenant.device();
    await post(`${device.token}/attributes`, '{"a":1}');
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { s: 2 });
    await eventually(
      () => tenant.attributes(device.id, "CLIENT_SCOPE"),
      ({ a }) => a === 1,
    );
    return device;
  }
  row("HTTP-09", "attributes of both scopes, only those that are there", async () => {
    const { token } = await withAttributes();
    const { text } = await get(`${token}/attributes?clientKeys=a,x&sharedKeys=s,y`);
    expect(JSON.parse(text)).toEqual({ client: { a: 1 }, shared: { s: 2 } });
  });
  row("HTTP-10", "nothing found is `{}`", async () => {
    const { token } = await tenant.device();
    expect(await get(`${token}/attributes?clientKeys=x`)).toMatchObject({ status: 200, text: "{}" });
  });
  row("HTTP-11", "nothing asked for is everything", async () => {
    const { token } = await withAttributes();
    expect(JSON.parse((await get(`${token}/attributes`)).text)).toEqual({ client: { a: 1 }, shared: { s: 2 } });
  });

  row("HTTP-12", "a poll gets the next update", async () => {
    const { id, token } = await tenant.device();
    const polled = get(`${token}/attributes/updates?timeout=8000`);
    await begun();
    await tenant.saveAttributes(id, "SHARED_SCOPE", { k: 1 });
    expect(await polled).toMatchObject({ status: 200, text: '{"k":1}' });
  });
  row("HTTP-13", "a poll without one is 408", async () => {
    const { token } = await tenant.device();
    expect(await get(`${token}/attributes/updates?timeout=300`)).toMatchObject({ status: 408, text: "" });
  });
  row("HTTP-14", "a poll hears of removals", async () => {
    const { id, token } = await tenant.device();
    await tenant.saveAttributes(id, "SHARED_SCOPE", { k: 1 });
    const polled = get(`${token}/attributes/updates?timeout=8000`);
    await begun();
    await tenant.deleteAttributes(id, "SHARED_SCOPE", ["k"]);
    expect((await polled).text).toBe('{"deleted":["k"]}');
  });

  const call = (id: string, body: object = {}) =>
    tenant.rest.call("POST", `/api/rpc/twoway/${id}`, { method: "m", params: { on: true }, ...body });
  row("HTTP-15", "a poll gets a call, whose answer is posted", async () => {
    const { id, token } = await tenant.device();
    const polled = get(`${token}/rpc?timeout=8000`);
    await begun();
    const answer = call(id);
    const request = JSON.parse((await polled).text);
    expect(request).toEqual({ id: 0, method: "m", params: { on: true } });
    expect(await post(`${token}/rpc/${request.id}`, '{"ok":1}')).toMatchObject(ok);
    expect((await answer).body).toEqual({ ok: 1 });
  });
  row("HTTP-16", "a call that waits already is there at once", async () => {
    const { id, token } = await tenant.device();
    const answer = call(id);
    await begun();
    const request = JSON.parse((await get(`${token}/rpc?timeout=8000`)).text);
    await post(`${token}/rpc/${request.id}`, "{}");
    expect((await answer).status).toBe(200);
  });
  row("HTTP-17", "a poll without a call is 408", async () => {
    const { token } = await tenant.device();
    expect((await get(`${token}/rpc?timeout=300`)).status).toBe(408);
  });
  row("HTTP-18", "an answer needs a number for its id", async () => {
    const { token } = await tenant.device();
    expect((await post(`${token}/rpc/abc`, "{}")).status).toBe(400);
  });
  row("HTTP-19", "a device's own call is answered by the rule chain", async () => {
    const { token } = await tenant.device();
    expect(await post(`${token}/rpc`, '{"method":"echo","params":{"a":1}}')).toMatchObject({
      status: 200,
      text: '{"a":1}',
    });
  });
  row("HTTP-20", "a device's own call needs params", async () => {
    const { token } = await tenant.device();
    expect((await post(`${token}/rpc`, '{"method":"m"}')).status).toBe(500);
  });

  row("HTTP-21", "a claim needs no body", async () => {
    const { token } = await tenant.device();
    expect(await post(`${token}/claim`)).toMatchObject(ok);
  });
  row("HTTP-22", "provisioning is 200 whatever became of it", async () => {
    const key = `http-${Date.now()}`;
    const provision = { type: "ALLOW_CREATE_NEW_DEVICES", provisionDeviceSecret: "s" };
    await tenant.profile({ provision, provisionKey: key });
    const ask = async (secret: string) => {
      const { status, text } = await post(
        "provision",
        JSON.stringify({ provisionDeviceKey: key, provisionDeviceSecret: secret }),
      );
      return [status, JSON.parse(text).status];
    };
    expect(await ask("s")).toEqual([200, "SUCCESS"]);
    expect(await ask("x")).toEqual([200, "NOT_FOUND"]);
  });
  row("HTTP-23", "a request that lacks something is 500", async () => {
    expect((await post("provision", '{"deviceName":"x"}')).status).toBe(500);
  });
  row("HTTP-26", "without an assigned package 404", async () => {
    const { token } = await tenant.device();
    expect((await get(`${token}/firmware?title=app&version=1`)).status).toBe(404);
  });
  row("HTTP-28", "without a title 400", async () => {
    const { token } = await tenant.device();
    expect((await get(`${token}/firmware?version=1`)).status).toBe(400);
  });
  row("HTTP-29", "more than 64 KB for a call is 413", async () => {
    const { token } = await tenant.device();
    const { status, text } = await post(`${token}/rpc`, "x".repeat(70_000));
    expect([status, text]).toEqual([413, '"Payload size exceeds the limit of 65536 bytes"']);
  });
  row("HTTP-30", "HTTP is open to devices of every profile", async () => {
    const { token } = await tenant.device({ profileId: await tenant.profile({ transport: { type: "COAP" } }) });
    expect(await post(`${token}/telemetry`, '{"a":1}')).toMatchObject(ok);
  });
  row("HTTP-31", "a device that is deleted while it polls is told so", async () => {
    const { id, token } = await tenant.device();
    const polled = get(`${token}/attributes/updates?timeout=10000`);
    await begun();
    await tenant.rest.delete(`/api/device/${id}`);
    expect(await polled).toMatchObject({ status: 403, text: "Device was deleted!" });
  });
  row("HTTP-32", "a post makes a device active without connecting it", async () => {
    const { id, token } = await tenant.device();
    await post(`${token}/telemetry`, '{"a":1}');
    await eventually(
      () => tenant.attributes(id, "SERVER_SCOPE"),
      ({ active }) => active === true,
    );
    await eventually(
      () => tenant.eventsOf(id),
      (types) => types.includes("ACTIVITY_EVENT"),
    );
    expect(tenant.eventsOf(id)).not.toContain("CONNECT_EVENT");
  });
});
