import { rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import {
  describeCache,
  describePlugin,
  describeRuleNode,
  describeTransport,
  steppedWorld,
} from "@heddle/plugin-sdk/testing";
import { afterAll, describe, expect, it } from "vitest";
import { RestClient } from "../e2e/rest-client.ts";
import { Server } from "../e2e/server.ts";
import { outsideFolder } from "./packages.ts";

const folder = outsideFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = (name: string) =>
  import(/* @vite-ignore */ join(folder, `node_modules/@acme/heddle-${name}/index.js`)) as Promise<any>;
const [nodes, caches, lines] = await Promise.all([load("threshold"), load("cache"), load("lines")]);

/** A line, and the answer to it. */
function lineClient(port: number) {
  const socket = connect(port, "127.0.0.1");
  const answers: string[] = [];
  let wake: () => void = () => {};
  let rest = "";
  socket.on("data", (chunk) => {
    const found = (rest + String(chunk)).split("\n");
    rest = found.pop() ?? "";
    answers.push(...found);
    wake();
  });
  return {
    async ask(text: string): Promise<string> {
      socket.write(`${text}\n`);
      while (answers.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return answers.shift() as string;
    },
    close: () => void socket.destroy(),
  };
}

describe("plugins of a third party pass their kits", () => {
  describePlugin(caches.default);
  describePlugin(nodes.default);
  describeRuleNode(nodes.threshold, {
    examples: [
      { msg: { data: { temperature: 5 } }, relations: ["Above"] },
      { msg: { data: { temperature: -5 } }, relations: ["Below"] },
    ],
  });
  describeCache("of a third party", {
    create: async () => {
      const world = steppedWorld();
      const cache = new caches.MapCache(world, 50);
      return { cache, pass: (ms: number) => world.pass(ms), [Symbol.asyncDispose]: async () => {} };
    },
    beyondBound: 51,
  });
  describeTransport("of a third party", {
    create: async (sessions) => {
      const transport = new lines.LineTransport(sessions, 0);
      const port = await transport.start();
      return {
        connect: async (token) => {
          const client = lineClient(port);
          if ((await client.ask(token)) === "no") return "refused";
          return {
            sendTelemetry: async (document) => ((await client.ask(document)) === "ok" ? "accepted" : "refused"),
            [Symbol.asyncDispose]: async () => client.close(),
          };
        },
        [Symbol.asyncDispose]: () => transport.stop(),
      };
    },
  });
});

describe("a distribution of a third party", () => {
  it("extends standalone from outside the repository and runs", { timeout: 40_000 }, async () => {
    await using server = await Server.start({ manifest: join(folder, "manifest.yaml") });
    const client = lineClient(server.port("Lines"));
    expect([await client.ask("A1_TEST_TOKEN"), await client.ask('{"lines":7}')]).toEqual(["ok", "ok"]);
    client.close();
    const rest = await RestClient.signIn(server.http);
    const id = await rest.deviceId("Test Device A1");
    const latest = async () =>
      (await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?keys=lines`)).lines[0].value;
    for (let i = 0; i < 50 && (await latest()) !== "7"; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await latest()).toBe("7");
    expect(server.ready.notes.map(({ title }) => title)).not.toContain("CoAP");
  });
});
