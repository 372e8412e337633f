const longest = 600;

/** Says what does not hold, not with all of a long input. */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what.length > longest ? `${what.slice(0, longest)}…` : what);
}

/** For a test that searches as long as it is told. */
export const patience = { timeout: 60_000 + 1_000 * Number(process.env["FUZZ_SECONDS"] ?? 1) };
