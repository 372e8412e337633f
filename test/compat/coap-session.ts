import { expect } from "vitest";
import type { Target } from "../conformance/target.ts";
import { eventually, type TestTenant } from "../conformance/tenant.ts";

/** Code, such as `2.05`, and payload. */
export type CoapAnswer = readonly [code: string, text: string];

/** What a session asks of a client; paths begin behind the host. */
export interface CoapClient extends AsyncDisposable {
  request(method: "GET" | "POST", path: string, payload?: string): Promise<CoapAnswer>;
  /** Resolves with the first answer; later ones are told by `notified` under the name. */
  observe(path: string, name: string): Promise<CoapAnswer>;
  notified(name: string): Promise<CoapAnswer>;
  cancel(name: string): Promise<void>;
}

/** What a device does in its life: telemetry, attributes both ways, calls from the server, and leaving. */
export async function coapSession(
  { target, tenant }: { readonly target: Target; readonly tenant: TestTenant },
  open: (host: string) => CoapClient,
): Promise<void> {
  const { id, token } = await tenant.device();
  await using client = open(`coap://127.0.0.1:${target.coap}`);
  const path = (rest: string) => `/api/v1/${token}/${rest}`;
  expect((await client.request("POST", "/api/v1/NOBODY/telemetry", '{"a":1}'))[0]).toBe("4.01");
  expect((await client.request("POST", path("telemetry"), "no document"))[0]).toBe("4.00");

  expect((await client.request("POST", path("telemetry"), "{temperature:25}"))[0]).toBe("2.01");
  // Beyond a datagram: it goes up, and comes down again, block by block.
  const large = "block".repeat(1_000);
  expect((await client.request("POST", path("attributes"), `{"large":"${large}"}`))[0]).toBe("2.01");
  await eventually(
    async () => [
      (await tenant.latest(id))["temperature"]?.value,
      (await tenant.attributes(id, "CLIENT_SCOPE"))["large"],
    ],
    ([temperature, stored]) => temperature === 25 && stored === large,
  );
  const [code, text] = await client.request("GET", path("attributes?clientKeys=large"));
  expect([code, JSON.parse(text)]).toEqual(["2.05", { client: { large } }]);

  expect(await client.observe(path("attributes"), "attributes")).toEqual(["2.05", "{}"]);
  await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
  expect(await client.notified("attributes")).toEqual(["2.05", '{"interval":30}']);
  await tenant.deleteAttributes(id, "SHARED_SCOPE", ["interval"]);
  expect(await client.notified("attributes")).toEqual(["2.05", '{"deleted":["interval"]}']);
  await client.cancel("attributes");

  expect((await client.observe(path("rpc"), "rpc"))[0]).toBe("2.03");
  const call = { method: "setRelay", params: { on: true }, timeout: 10_000 };
  const answered = tenant.rest.call("POST", `/api/rpc/twoway/${id}`, call);
  const asked = JSON.parse((await client.notified("rpc"))[1]) as { id: number };
  expect(asked).toEqual({ id: asked.id, method: "setRelay", params: { on: true } });
  expect((await client.request("POST", path(`rpc/${asked.id}`), '{"done":1}'))[0]).toBe("2.01");
  expect(await answered).toEqual({ status: 200, body: { done: 1 } });
  await client.cancel("rpc");
}
