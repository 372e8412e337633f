// Adds up the test reports of a folder, prints what failed and the closing line; fails when something failed or nothing ran.
// A report `x-again.json` is of the files of `x.json` that failed at first: what passed then is named, and counts once.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
const resultsOf = (file) => JSON.parse(readFileSync(join(folder, file), "utf8")).testResults;
const sum = { passed: 0, failed: 0, skipped: 0 };

function failuresOf({ name, assertionResults, message }) {
  if (assertionResults.length === 0 && message) return [`${name}\n  ${message.split("\n", 5).join("\n  ")}`];
  const failed = assertionResults.filter(({ status }) => status === "failed");
  return failed.map(({ fullName, failureMessages }) => {
    const why = failureMessages.join("\n").split("\n", 10).join("\n  ");
    return `${name}\n  ${fullName}\n  ${why}`;
  });
}

for (const file of files.filter((name) => !name.endsWith("-again.json"))) {
  const again = file.replace(".json", "-again.json");
  const second = new Map((files.includes(again) ? resultsOf(again) : []).map((result) => [result.name, result]));
  for (const first of resultsOf(file)) {
    const result = second.get(first.name) ?? first;
    if (result !== first) for (const failure of failuresOf(first)) console.log(`failed at first: ${file} ${failure}`);
    for (const failure of failuresOf(result)) console.log(`failed: ${file} ${failure}`);
    const count = (status) => result.assertionResults.filter((one) => one.status === status).length;
    sum.passed += count("passed");
    sum.failed += count("failed") + (result.status === "failed" && result.assertionResults.length === 0 ? 1 : 0);
    sum.skipped += count("skipped") + count("pending") + count("todo");
  }
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
