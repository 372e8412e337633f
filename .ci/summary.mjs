// Adds up the test reports of a folder, prints what failed and the closing line; fails when something failed or nothing ran.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(folder, file), "utf8"));
  sum.passed += report.numPassedTests;
  sum.failed +=
    report.numFailedTests +
    report.testResults.filter((one) => one.status === "failed" && one.assertionResults.length === 0).length;
  for (const { name, assertionResults, message } of report.testResults) {
    if (assertionResults.length === 0 && message)
      console.log(`failed: ${file} ${name}\n  ${message.split("\n", 5).join("\n  ")}`);
    for (const { status, fullName, failureMessages } of assertionResults)
      if (status === "failed")
        console.log(
          `failed: ${file} ${name}\n  ${fullName}\n  ${failureMessages.join("\n").split("\n", 10).join("\n  ")}`,
        );
  }
  sum.skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
