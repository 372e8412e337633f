/** A process of the load answers the calls of the one that started it (`Client` of ../client.ts). */
export function serve(commands: Readonly<Record<string, (input: any) => unknown>>): void {
  process.on("message", async ({ name, input }: { name: string; input: unknown }) => {
    try {
      const command = commands[name];
      if (command === undefined) throw new Error(`no command ${name}`);
      process.send?.({ output: (await command(input)) ?? null });
    } catch (error) {
      process.send?.({ error: error instanceof Error ? error.stack : String(error) });
    }
  });
  process.on("disconnect", () => process.exit());
}

/** Ms on the clock that all processes of the machine share. */
export const machineMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Runs `each` for 0 to `count` - 1, `atOnce` of them at a time. */
export async function inTurn(
  { count, atOnce }: { readonly count: number; readonly atOnce: number },
  each: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const line = async () => {
    while (next < count) await each(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, line));
}
