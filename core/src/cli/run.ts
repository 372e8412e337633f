import type { Command } from "./command.ts";
import { manifestPath } from "./distribution.ts";
import { nodeModule } from "./node-module.ts";

export const run: Command = async ({ positionals, set, demo, json }, { cwd }) => {
  const { runNode } = await nodeModule();
  return runNode({ manifest: manifestPath(positionals[0], cwd), set, demo, json });
};
