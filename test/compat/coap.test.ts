import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, it } from "vitest";
import { Target } from "../conformance/target.ts";
import { TestTenant } from "../conformance/tenant.ts";
import { onPath } from "../e2e/on-path.ts";
import { ClientProcess, DrivenClient } from "./client-process.ts";
import { type CoapAnswer, type CoapClient, coapSession } from "./coap-session.ts";
import { driverOf, pythonWith } from "./python.ts";

const run = promisify(execFile);

let target: Target;
let tenant: TestTenant;
beforeAll(async () => {
  target = await Target.start();
  tenant = await TestTenant.create(target);
}, 120_000);
afterAll(() => target?.[Symbol.asyncDispose]());

/** Its log of messages: type, code, options, and a text payload behind two colons. */
const logged = /^v:1 t:\w+ c:([2-5]\.\d\d) .*?\](?: :: '(.*)')?$/;

function answerIn(line: string): CoapAnswer {
  const [, code = "", text = ""] = logged.exec(line) ?? [];
  return [code, text];
}

/** libcoap's command, once for each request, and kept running for an observation. */
class Libcoap implements CoapClient {
  readonly #program: string;
  readonly #host: string;
  readonly #watching = new Map<string, ClientProcess>();

  constructor(program: string, host: string) {
    this.#program = program;
    this.#host = host;
  }

  async request(method: "GET" | "POST", path: string, payload?: string): Promise<CoapAnswer> {
    const body = payload === undefined ? [] : ["-t", "json", "-e", encodeURIComponent(payload)];
    const folder = await mkdtemp(join(tmpdir(), "libcoap-"));
    try {
      const file = join(folder, "body");
      const args = ["-v", "6", "-o", file, "-m", method, ...body, this.#host + path];
      const { stdout, stderr } = await run(this.#program, args);
      const [code] = answerIn(`${stdout}\n${stderr}`.split("\n").findLast((line) => logged.test(line)) ?? "");
      return [code, existsSync(file) ? await readFile(file, "utf8") : ""];
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  async observe(path: string, name: string): Promise<CoapAnswer> {
    // Through a pipe it would print when it ends, not when it hears something.
    const args = ["-oL", this.#program, "-w", "-v", "6", "-s", "60", "-m", "GET", this.#host + path];
    this.#watching.set(name, new ClientProcess("stdbuf", args));
    return this.notified(name);
  }

  async notified(name: string): Promise<CoapAnswer> {
    return answerIn(await this.#watching.get(name)!.line((line) => logged.test(line)));
  }

  async cancel(name: string): Promise<void> {
    await this.#watching.get(name)?.[Symbol.asyncDispose]();
    this.#watching.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#watching.keys()) await this.cancel(name);
  }
}

describeNeeding("libcoap", onPath("coap-client-notls"), (program) => {
  it("its command is a device", () => coapSession({ target, tenant }, (host) => new Libcoap(program, host)));
});

/** aiocoap in its own process. */
class Aiocoap extends DrivenClient implements CoapClient {
  request(method: "GET" | "POST", path: string, payload = ""): Promise<CoapAnswer> {
    return this.call("request", method, path, payload);
  }

  observe(path: string, name: string): Promise<CoapAnswer> {
    return this.call("observe", path, name);
  }

  notified(name: string): Promise<CoapAnswer> {
    return this.event(name);
  }

  cancel(name: string): Promise<void> {
    return this.call("cancel", name);
  }
}

describeNeeding("aiocoap", pythonWith("aiocoap", ["aiocoap==0.4.17"]), (python) => {
  it("it is a device", () =>
    coapSession({ target, tenant }, (host) => new Aiocoap(python, [driverOf("aiocoap_client.py"), host])));
});
