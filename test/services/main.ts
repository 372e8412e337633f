/** `npm run services -- start|stop|status [name …]`: the real services that `npm run test:services` needs. */
import { Service, type ServiceSpec, servicesDir, specs } from "./service.ts";

const [verb = "status", ...names] = process.argv.slice(2);
const unknown = names.find((name) => !specs.some((spec) => spec.name === name));
if (unknown !== undefined || !["start", "stop", "status"].includes(verb)) {
  const list = specs.map(({ name }) => name).join("|");
  console.error(`${unknown ?? verb} is not known: npm run services -- start|stop|status [${list} …]`);
  process.exit(2);
}
const chosen = specs.filter(({ name }) => names.length === 0 || names.includes(name));

async function act(spec: ServiceSpec): Promise<void> {
  const service = new Service(spec);
  const since = performance.now();
  if (verb === "start") await service.start();
  if (verb === "stop") await service.stop();
  const state = service.running ? `runs at ${service.where}` : "does not run";
  const took = verb === "status" ? "" : ` (${((performance.now() - since) / 1_000).toFixed(1)} s)`;
  console.log(`${spec.name.padEnd(10)} ${state}${took}`);
}

console.log(`data and logs: ${servicesDir}`);
for (const spec of chosen) await act(spec);
