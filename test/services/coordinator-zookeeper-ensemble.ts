import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Service } from "./service.ts";

/** The node of the ensemble that leads, by its four-letter word. */
export async function leaderOf(service: Service): Promise<number> {
  for (;;) {
    for (const node of service.nodes) {
      if (/Mode: leader/.test(await told(service.endpoints[node - 1] as string, "srvr"))) return node;
    }
    await pause(50);
  }
}

async function told(endpoint: string, word: string): Promise<string> {
  const [host, port] = endpoint.split(":");
  const socket = connect({ host: host as string, port: Number(port) });
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString();
  });
  socket.on("error", () => {});
  socket.end(word);
  await once(socket, "close");
  return text;
}
