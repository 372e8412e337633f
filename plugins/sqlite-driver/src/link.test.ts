import { realWorld } from "@heddle/plugin-sdk/testing";
import { afterEach, describe, expect, it } from "vitest";
import { type LinkOptions, WorkerLink } from "./link.ts";

class Refused extends Error {}

const signal = new AbortController().signal;
let link: WorkerLink | undefined;
afterEach(() => link?.close());

async function open(more: Partial<LinkOptions> = {}): Promise<{ link: WorkerLink; said: (string | undefined)[] }> {
  const said: (string | undefined)[] = [];
  const options: LinkOptions = {
    url: new URL("../testing/ending-worker.ts", import.meta.url),
    data: undefined,
    maxCalls: 5,
    world: realWorld(),
    fault: ({ message }) => new Refused(message),
    greet: (call) => call("hello", 1),
    changed: (lost) => said.push(lost),
    ...more,
  };
  const opened = await WorkerLink.open(options, signal);
  link = opened;
  return { link: opened, said };
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds(); turn++) {
    if (turn === 1000) throw new Error("it does not come");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("the link to a worker", () => {
  it("answers in order and refuses more calls than may wait", async () => {
    const { link } = await open();
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((n) => link.call("echo", n)));
    expect(outcomes.slice(0, 5)).toEqual([1, 2, 3, 4, 5].map((value) => ({ status: "fulfilled", value })));
    expect(outcomes[5]).toMatchObject({
      status: "rejected",
      reason: { message: expect.stringContaining("limit is 5") },
    });
  });

  it("replaces a worker that has failed: what waits is refused, later calls are answered again", async () => {
    const greetings: unknown[] = [];
    const { link, said } = await open({
      greet: async (call) => {
        greetings.push(await call("hello", greetings.length));
      },
    });
    const lost = [link.call("crash", undefined), link.call("echo", 1)];
    for (const call of lost) await expect(call).rejects.toBeInstanceOf(Refused);
    await until(() => link.lost !== undefined);
    await expect(link.call("echo", 2)).rejects.toBeInstanceOf(Refused);
    await expect(link.send("echo", 2, [])).rejects.toBeInstanceOf(Refused);
    await until(() => link.lost === undefined);
    expect(await link.call("echo", 3)).toBe(3);
    expect(greetings).toEqual([0, 1]);
    expect(said).toEqual([expect.stringContaining("as the test wants"), undefined]);
  });

  it("tries again, with pauses, while the worker cannot be greeted", async () => {
    let failures = 3;
    let first = true;
    const { link } = await open({
      greet: async (call) => {
        await call("hello", undefined);
        if (!first && failures-- > 0) throw new Error("not yet");
        first = false;
      },
    });
    await link.call("crash", undefined).catch(() => undefined);
    await until(() => link.lost === "not yet");
    await until(() => link.lost === undefined);
    expect(failures).toBe(-1);
    expect(await link.call("echo", 4)).toBe(4);
  });

  it("stays closed, also when it is closed while no worker is there", async () => {
    const { link, said } = await open();
    await link.call("crash", undefined).catch(() => undefined);
    await until(() => link.lost !== undefined);
    await link.close();
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(said).toHaveLength(1);
    await expect(link.call("echo", 1)).rejects.toBeInstanceOf(Refused);
  });

  it("leaves nothing behind when the first greeting fails", async () => {
    await expect(open({ greet: () => Promise.reject(new Error("no")) })).rejects.toThrow("no");
  });
});
