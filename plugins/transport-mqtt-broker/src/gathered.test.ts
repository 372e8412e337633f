import { expect, it } from "vitest";
import { Gathered } from "./gathered.ts";

it("writes what came meanwhile as one batch, in order, and rejects only those of a batch that failed", async () => {
  const batches: (readonly number[])[] = [];
  let release = () => {};
  const gathered = new Gathered<number>(async (items) => {
    batches.push(items);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    if (items.includes(2)) throw new Error("full");
  }, 3);
  const outcomes: string[] = [];
  const add = (n: number) =>
    gathered.add(n).then(
      () => outcomes.push(`${n} kept`),
      () => outcomes.push(`${n} lost`),
    );
  const first = [add(0), add(1)];
  await undefined;
  const rest = [2, 3, 4, 5].map(add);
  release();
  await Promise.all(first);
  release();
  await Promise.all(rest.slice(0, 3));
  release();
  await Promise.all(rest);
  expect(batches).toEqual([[0, 1], [2, 3, 4], [5]]);
  expect(outcomes).toEqual(["0 kept", "1 kept", "2 lost", "3 lost", "4 lost", "5 kept"]);
});
