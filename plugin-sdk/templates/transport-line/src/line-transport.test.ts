import { type AddressInfo, connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { ReadyNotes, Sessions } from "@heddle/plugin-sdk";
import {
  describePlugin,
  describeTransport,
  FakeSessions,
  failingCases,
  realWorld,
  silentLog,
  type TransportClient,
  transportCases,
  transportSetup,
} from "@heddle/plugin-sdk/testing";
import { describe, expect, it, vi } from "vitest";
import card from "./index.ts";
import { LineTransport } from "./line-transport.ts";

describePlugin(card, {
  config: { port: 0 },
  deps: new Map<string, unknown>([
    [Sessions.id, new FakeSessions()],
    [ReadyNotes.id, { add() {} }],
  ]),
});

/** A device: it says a line and hears the answer; what else comes is kept. */
class Device {
  readonly pushed: string[] = [];
  readonly #socket;
  readonly #waiting: ((answer: string) => void)[] = [];

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1").on("error", () => {});
    createInterface({ input: this.#socket }).on("line", (line) => {
      if (line === "ok" || line === "no") this.#waiting.shift()?.(line);
      else this.pushed.push(line);
    });
    this.#socket.on("close", () => {
      for (const answer of this.#waiting.splice(0)) answer("closed");
    });
  }

  ask(line: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(`${line}\n`);
    });
  }

  leave(): void {
    this.#socket.destroy();
  }
}

async function client(port: number, token: string): Promise<TransportClient | "refused"> {
  const device = new Device(port);
  if ((await device.ask(token)) !== "ok") {
    device.leave();
    return "refused";
  }
  return {
    sendTelemetry: async (text) => ((await device.ask(`telemetry ${text}`)) === "ok" ? "accepted" : "refused"),
    [Symbol.asyncDispose]: async () => device.leave(),
  };
}

async function started(sessions: Sessions): Promise<{ readonly port: number } & AsyncDisposable> {
  const transport = new LineTransport({ world: realWorld(), log: silentLog, sessions });
  const port = await transport.start({ host: "127.0.0.1", port: 0 });
  return { port, [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() };
}

describeTransport("line", {
  create: async (sessions) => {
    const transport = await started(sessions);
    return {
      connect: (token) => client(transport.port, token),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  },
});

describe("the line transport", () => {
  it("brings pushes and calls to the device, and its answers back; ends with the session", async () => {
    const platform = new FakeSessions("T");
    await using transport = await started(platform);
    const device = new Device(transport.port);
    expect(await device.ask("T")).toBe("ok");
    const [session] = platform.sessions;
    expect([...(session?.subscribed ?? [])]).toEqual(["attributes", "rpc"]);
    await session?.push('{"interval":30}');
    await session?.call({ requestId: 0, method: "reset", params: "null", oneway: false });
    await vi.waitFor(() =>
      expect(device.pushed).toEqual(['attributes {"interval":30}', 'call 0 {"method":"reset","params":null}']),
    );
    expect(await device.ask('reply 0 {"done":1}')).toBe("ok");
    expect(await device.ask('attributes {"a":1}')).toBe("ok");
    expect(await device.ask("nonsense")).toBe("no");
    expect(platform.taken).toEqual([
      { kind: "rpcReply", text: '{"done":1}' },
      { kind: "attributes", text: '{"a":1}' },
    ]);
    device.leave();
    await vi.waitFor(() => expect(session?.closed.aborted).toBe(true));
  });

  it("ends a connection whose line does not end", async () => {
    await using transport = await started(new FakeSessions("T"));
    const device = new Device(transport.port);
    expect(await device.ask("T")).toBe("ok");
    expect(await device.ask("x".repeat(140_000))).toBe("closed");
  });
});

/** A first draft: it lets everybody in, and answers before it knows. */
async function sloppy(sessions: Sessions): Promise<{ readonly port: number } & AsyncDisposable> {
  const call = { signal: new AbortController().signal };
  const who = await sessions.authenticate({ kind: "token", token: "A1_TEST_TOKEN" }, call);
  const uplinks = sessions.visit(who!);
  const server = createServer((socket) => {
    createInterface({ input: socket.on("error", () => {}) }).on("line", (line) => {
      socket.write("ok\n");
      const [, text] = /^telemetry (.*)$/.exec(line) ?? [];
      try {
        if (text !== undefined) void uplinks.telemetry(Buffer.from(text));
      } catch {
        // Nobody is told: this is what the kit has to find.
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: stop };
}

it("a sloppy transport does not pass the kit", async () => {
  const failing = await failingCases(
    transportCases,
    transportSetup({
      create: async (sessions) => {
        const transport = await sloppy(sessions);
        return {
          connect: (token) => client(transport.port, token),
          [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
        };
      },
    }),
  );
  expect(failing).toEqual(
    expect.arrayContaining([
      "acknowledges nothing before it is durable",
      "refuses a stranger",
      "refuses what is no document, and serves the next device",
    ]),
  );
});
