import WebSocket from "ws";
import type { Server } from "../e2e/server.ts";
import { rss } from "./tools.ts";

/** Starts a server that `usedBytes` can ask. */
export const inspectedArgs = "--inspect=127.0.0.1:0 --expose-gc";

/** Heap and buffers of the server's main thread, and its resident memory, after collections. */
export async function usedBytes(server: Server): Promise<{ used: number; resident: number }> {
  const url = /ws:\/\/\S+/.exec(server.log.join(""))?.[0];
  if (url === undefined) throw new Error("the server names no inspector");
  const used = await evaluated(
    url,
    "gc(); gc(); (({heapUsed, external}) => heapUsed + external)(process.memoryUsage())",
  );
  return { used, resident: rss(server.process.pid ?? 0) };
}

function evaluated(url: string, expression: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.on("error", reject);
    socket.on("open", () =>
      socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression, returnByValue: true } })),
    );
    socket.on("message", (data) => {
      const { id, result } = JSON.parse(String(data));
      if (id !== 1) return;
      if (typeof result?.result?.value === "number") resolve(result.result.value);
      else reject(new Error(`${expression}: ${String(data)}`));
      socket.close();
    });
  });
}
