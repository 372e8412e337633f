import type { Sessions } from "../src/index.ts";
import { FakeSessions } from "./fake-sessions.ts";
import { describeCases, type KitCase } from "./kit.ts";

/** What the author of a transport brings: a tiny client of the protocol. */
export interface TransportClient extends AsyncDisposable {
  /** Sends a telemetry document; resolves with whether the server acknowledged it, rejects when it does not answer. */
  sendTelemetry(document: string): Promise<"accepted" | "refused">;
}

export interface TransportKit {
  /** Starts the transport over these sessions on a free port. */
  create(
    sessions: Sessions,
  ): Promise<{ connect(token: string): Promise<TransportClient | "refused"> } & AsyncDisposable>;
}

interface Context {
  readonly platform: FakeSessions;
  connect(token: string): Promise<TransportClient | "refused">;
}

const token = "A1_TEST_TOKEN";
const soonMs = 150;

/** What every transport must keep: nothing is acknowledged before it is durable, order holds, strangers stay outside. */
export function describeTransport(name: string, kit: TransportKit): void {
  describeCases(`transport ${name}`, transportCases, transportSetup(kit));
}

export const transportSetup = (kit: TransportKit) => async (): Promise<Context & AsyncDisposable> => {
  const platform = new FakeSessions(token);
  const transport = await kit.create(platform);
  const clients: TransportClient[] = [];
  return {
    platform,
    connect: async (as) => {
      const client = await transport.connect(as);
      if (client !== "refused") clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      platform.resume();
      for (const client of clients) await client[Symbol.asyncDispose]();
      await transport[Symbol.asyncDispose]();
    },
  };
};

async function device(context: Context): Promise<TransportClient> {
  const client = await context.connect(token);
  if (client === "refused") throw new Error("a device with good credentials was refused");
  return client;
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

export const transportCases: readonly KitCase<Context>[] = [
  {
    name: "acknowledges telemetry and hands it over as it came",
    run: async (context) => {
      const client = await device(context);
      must((await client.sendTelemetry("{temperature:25}")) === "accepted", "not acknowledged");
      must(context.platform.taken[0]?.text === "{temperature:25}", `handed over: ${context.platform.taken[0]?.text}`);
    },
  },
  {
    name: "acknowledges nothing before it is durable",
    run: async (context) => {
      const client = await device(context);
      context.platform.stall();
      let answered = false;
      const sent = client.sendTelemetry('{"a":1}').then(() => {
        answered = true;
      });
      await new Promise((resolve) => setTimeout(resolve, soonMs));
      must(!answered, "acknowledged while nothing was durable");
      context.platform.resume();
      await sent;
    },
  },
  {
    name: "hands messages over in the order in which they were sent",
    run: async (context) => {
      const client = await device(context);
      for (let n = 0; n < 20; n++) await client.sendTelemetry(`{"n":${n}}`);
      const order = context.platform.taken.map(({ text }) => (JSON.parse(text) as { n: number }).n);
      must(order.every((n, i) => n === i) && order.length === 20, `order: ${order.join()}`);
    },
  },
  {
    name: "refuses a stranger",
    run: async (context) => {
      const client = await context.connect("NOBODY");
      const outcome = client === "refused" ? "refused" : await client.sendTelemetry('{"a":1}');
      must(outcome === "refused" && context.platform.taken.length === 0, "a stranger was let in");
    },
  },
  {
    name: "refuses what is no document, and serves the next device",
    run: async (context) => {
      const outcome = await (await device(context)).sendTelemetry("no document").catch(() => "refused");
      must(outcome === "refused", "a broken document was acknowledged");
      must((await (await device(context)).sendTelemetry('{"a":1}')) === "accepted", "the next device was not served");
    },
  },
];
