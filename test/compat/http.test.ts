import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Target } from "../conformance/target.ts";
import { eventually, pause, TestTenant } from "../conformance/tenant.ts";
import { onPath } from "../e2e/on-path.ts";

const run = promisify(execFile);

let target: Target;
let tenant: TestTenant;
beforeAll(async () => {
  target = await Target.start();
  tenant = await TestTenant.create(target);
}, 120_000);
afterAll(() => target?.[Symbol.asyncDispose]());

describeNeeding("curl", onPath("curl"), (program) => {
  /** Status and body. */
  async function curl(path: string, ...args: readonly string[]): Promise<[status: number, body: string]> {
    const { stdout } = await run(program, ["-s", "-m", "30", "-w", "\n%{http_code}", ...args, target.http + path]);
    const at = stdout.lastIndexOf("\n");
    return [Number(stdout.slice(at + 1)), stdout.slice(0, at)];
  }

  it("its command is a device", async () => {
    const { id, token } = await tenant.device();
    const at = (rest: string) => `/api/v1/${token}/${rest}`;
    const json = ["-H", "Content-Type: application/json"];
    expect((await curl("/api/v1/NOBODY/telemetry", ...json, "-d", "{}"))[0]).toBe(401);
    expect((await curl(at("telemetry"), ...json, "-d", "no document{"))[0]).toBe(500);

    expect(await curl(at("telemetry"), ...json, "--data", "{temperature:25}")).toEqual([200, ""]);
    // What it sends when nobody says what it is: a form, which this is not.
    expect(await curl(at("telemetry"), "-d", '{"humidity":60.5}')).toEqual([200, ""]);
    expect(await curl(at("attributes"), ...json, "-d", '{"serial":"A1"}')).toEqual([200, ""]);
    await eventually(
      async () => [await tenant.latest(id), await tenant.attributes(id, "CLIENT_SCOPE")] as const,
      ([{ temperature, humidity }, { serial }]) =>
        temperature?.value === 25 && humidity?.value === 60.5 && serial === "A1",
    );
    await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
    const [status, body] = await curl(at("attributes?clientKeys=serial&sharedKeys=interval"));
    expect([status, JSON.parse(body)]).toEqual([200, { client: { serial: "A1" }, shared: { interval: 30 } }]);
  });

  it("its command waits: for a change of attributes, for a call, and for nothing", async () => {
    const { id, token } = await tenant.device();
    const at = (rest: string) => `/api/v1/${token}/${rest}`;
    expect((await curl(at("rpc?timeout=100")))[0]).toBe(408);

    const update = curl(at("attributes/updates?timeout=20000"));
    // Nothing says when the wait has begun; what was saved before it is not told.
    let interval = 0;
    const told = await eventually(
      async () => {
        await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: ++interval });
        return Promise.race([update, pause(200).then(() => undefined)]);
      },
      (answer) => answer !== undefined,
    );
    expect(told?.[0]).toBe(200);
    expect(JSON.parse(told?.[1] ?? "")["interval"]).toBeGreaterThan(0);

    const call = { method: "setRelay", params: { on: true }, timeout: 20_000 };
    const answered = tenant.rest.call("POST", `/api/rpc/twoway/${id}`, call);
    const [status, body] = await curl(at("rpc?timeout=20000"));
    const { id: callId, ...asked } = JSON.parse(body) as { id: number };
    expect([status, asked]).toEqual([200, { method: "setRelay", params: { on: true } }]);
    expect(await curl(at(`rpc/${callId}`), "-d", '{"done":1}')).toEqual([200, ""]);
    expect(await answered).toEqual({ status: 200, body: { done: 1 } });
  });
});
