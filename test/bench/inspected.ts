import WebSocket from "ws";
import type { Server } from "../e2e/server.ts";

/** Starts a server that `usedBytes` can ask. */
export const inspectedArgs = "--inspect=127.0.0.1:0 --expose-gc";

export interface Used {
  /** Heap and buffers of the main thread. */
  readonly used: number;
  /** Resident and no heap of the main thread: sockets, TLS, buffers, the other threads. */
  readonly outside: number;
}

/** Memory of the server after collections, bytes. */
export async function usedBytes(server: Server): Promise<Used> {
  const url = /ws:\/\/\S+/.exec(server.log.join(""))?.[0];
  if (url === undefined) throw new Error("the server names no inspector");
  const { heapUsed, external, rss, heapTotal } = JSON.parse(
    await evaluated(url, "gc(); gc(); JSON.stringify(process.memoryUsage())"),
  ) as NodeJS.MemoryUsage;
  return { used: heapUsed + external, outside: rss - heapTotal };
}

function evaluated(url: string, expression: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.on("error", reject);
    socket.on("open", () =>
      socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression, returnByValue: true } })),
    );
    socket.on("message", (data) => {
      const { id, result } = JSON.parse(String(data));
      if (id !== 1) return;
      if (typeof result?.result?.value === "string") resolve(result.result.value);
      else reject(new Error(`${expression}: ${String(data)}`));
      socket.close();
    });
  });
}
