export * from "./database.ts";
export * from "./serve.ts";
