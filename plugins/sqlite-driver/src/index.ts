export * from "./link.ts";
export type { Trouble } from "./trouble.ts";
