export { createNode, type NodeInput, nodeBuiltIns, type RunningNode } from "./node.ts";
