import { crashRun } from "./crash-run.ts";

/** `npm run crash [rounds]`: the full run. */
const report = await crashRun(Number(process.argv[2] ?? 50), (line) => void process.stdout.write(`${line}\n`));
const sorted = report.startMs.toSorted((a, b) => a - b);
process.stdout.write(
  `${report.rounds} kills, ${report.acknowledged} acknowledged, ${report.missing.length} missing; back after ${Math.round(sorted[sorted.length >> 1] ?? 0)} ms (longest ${Math.round(sorted.at(-1) ?? 0)} ms)\n`,
);
process.exitCode = report.missing.length === 0 ? 0 : 1;
