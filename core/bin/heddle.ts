import "reflect-metadata";
import { main } from "../src/cli/main.ts";
import { nodeModule } from "../src/cli/node-module.ts";
import { SystemWorld } from "../src/world/system-world.ts";

process.exitCode = await main(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  builtIns: async () => (await nodeModule()).nodeBuiltIns(),
});

// Everything has been stopped by now. What still holds the process must not keep its supervisor waiting.
new SystemWorld().timer(3_000, () => {
  process.stderr.write("heddle has stopped, but something still holds the process: it ends now\n");
  process.exit();
});
