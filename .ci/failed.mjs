// Prints the files of a test report in which something failed, one a line; nothing when the report is not there.
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

const [report] = process.argv.slice(2);
if (existsSync(report)) {
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  for (const { name, status } of testResults) if (status === "failed") console.log(relative(process.cwd(), name));
}
