export * from "./database.ts";
export * from "./live-database.ts";
export * from "./serve.ts";
export { WorkerTrouble } from "./trouble.ts";
