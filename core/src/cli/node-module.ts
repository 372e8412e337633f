import type { BuiltIn } from "../host/distribution.ts";

/** What the command line needs of the kernel. */
export interface NodeModule {
  /** Runs until told to stop; answers the exit code. */
  runNode(input: {
    readonly manifest: string;
    readonly set: readonly string[];
    readonly demo: boolean;
    readonly json: boolean;
  }): Promise<number>;
  /** The vertices that a node adds to every distribution; used here only for their cards. */
  nodeBuiltIns(): readonly BuiltIn[];
}

/** Late, because it brings the whole kernel with it. */
export async function nodeModule(): Promise<NodeModule> {
  const [{ nodeBuiltIns }, { runNode }] = await Promise.all([import("../node.ts"), import("../run-node.ts")]);
  return { nodeBuiltIns, runNode };
}
