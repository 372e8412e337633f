import "reflect-metadata";
import { setTimeout as sleep } from "node:timers/promises";
import type { CoapConfig } from "../src/coap-server.ts";
import { serve } from "./server.ts";

/** The listener in a process of its own, so that its memory can be measured; the configuration is its argument. */
const server = await serve(JSON.parse(process.argv[2] ?? "{}") as Partial<CoapConfig>);
server.platform.keepTexts = false;
server.platform.commit = () => sleep(5).then(() => {});

/** Any token is that of a device. */
const { platform } = server;
platform.authenticate = async (by) =>
  by.kind === "token" ? (platform.devices.get(by.token) ?? platform.device(by.token)) : undefined;

const commands: Record<string, (text: string) => unknown> = {
  memory: () => {
    (globalThis as { gc?: () => void }).gc?.();
    return process.memoryUsage().rss;
  },
  push: async (text) => {
    const signal = new AbortController().signal;
    await Promise.all(platform.sessions.map(({ down }) => down.deliverAttributes(text, { signal })));
  },
};

process.on("message", async ([command = "", text = ""]: string[]) => {
  process.send!((await commands[command]?.(text)) ?? null);
});
process.on("disconnect", () => process.exit());
process.send!(server.port);
