import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { Intake } from "./intake.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

it("lets the loop turn while a part of what is asked for is there", async () => {
  const socket = new PassThrough();
  const intake = new Intake(socket as unknown as Socket);
  const asked = intake.read(4);
  for (const byte of "abcd") {
    socket.write(byte);
    await turn();
    await turn();
  }
  expect(String(await asked)).toBe("abcd");
});

it("reads one chunk ahead at most, and gives back what was not asked for", async () => {
  const socket = new PassThrough({ highWaterMark: 8 });
  const intake = new Intake(socket as unknown as Socket);
  const asked = intake.read(2);
  socket.write("abcdef");
  expect(String(await asked)).toBe("ab");
  let taken = 0;
  for (; taken < 100 && socket.write("xxxxxxxx"); taken += 1) await turn();
  expect(taken).toBeLessThan(4);
  intake.release();
  const rest: string[] = [];
  socket.on("data", (chunk) => void rest.push(String(chunk))).resume();
  await turn();
  expect(rest.join("")).toMatch(/^cdefxxxxxxxx/);
});

it("answers undefined when the stream ends first", async () => {
  const socket = new PassThrough();
  const intake = new Intake(socket as unknown as Socket);
  const asked = intake.read(2);
  socket.end("a");
  await expect(asked).resolves.toBeUndefined();
});
