import "reflect-metadata";
import { setTimeout as sleep } from "node:timers/promises";
import type { CoapConfig } from "../src/coap-server.ts";
import { serve } from "./server.ts";

/** The listener in a process of its own, so that its memory can be measured; the configuration is its argument. */
const server = await serve(JSON.parse(process.argv[2] ?? "{}") as Partial<CoapConfig>);
server.platform.keepTexts = false;
server.platform.commit = () => sleep(5).then(() => {});

process.on("message", () => {
  (globalThis as { gc?: () => void }).gc?.();
  process.send!(process.memoryUsage().rss);
});
process.on("disconnect", () => process.exit());
process.send!(server.port);
