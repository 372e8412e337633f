import { realWorld } from "@heddle/plugin-sdk/testing";
import { expect, it } from "vitest";
import { Link } from "./link.ts";

it("a client that is dropped while it connects leaves again once it has connected", async () => {
  let connected = () => {};
  const said: string[] = [];
  const client = {
    connect: () =>
      new Promise<void>((resolve) => {
        connected = () => {
          said.push("connected");
          resolve();
        };
      }),
    disconnect: async () => void said.push("left"),
  };
  const link = new Link({ world: realWorld(), what: "a client", withinMs: 20, make: () => client });
  await expect(link.get()).rejects.toMatchObject({ code: "queue.unavailable" });
  connected();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(said).toEqual(["left", "connected", "left"]);
});
