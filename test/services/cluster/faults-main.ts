/** `npm run faults -- [rounds] [word of a fault …]`: three nodes under load through every fault; prints the table. */
import { faultRun, table } from "./fault-run.ts";
import { faultCases } from "./faults.ts";
import { services } from "./faulty-cluster.ts";

const [rounds = "30", ...words] = process.argv.slice(2);
const cases = faultCases.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const all = services();
if (all === undefined) {
  console.error("ZooKeeper, Kafka and Cassandra must run: npm run services -- start");
  process.exit(2);
}
const report = await faultRun(all, { cases, rounds: Number(rounds) }, (line) => console.error(line));
const { acknowledged, lost, duplicated, outOfOrder, twoOwners } = report;
console.log(`${table(report)}\n`);
console.log(`${acknowledged} acknowledged, ${lost.length} lost, ${duplicated} handled again`);
console.log(`${outOfOrder.length} out of order, ${twoOwners.length} handled by a former owner`);
for (const line of [...lost, ...outOfOrder, ...twoOwners].slice(0, 20)) console.log(line);
process.exit(lost.length + outOfOrder.length + twoOwners.length === 0 ? 0 : 1);
