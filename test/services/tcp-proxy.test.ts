import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { TcpProxy } from "./tcp-proxy.ts";

it("the proxy passes bytes, holds them while stalled, and refuses while cut", async () => {
  const echo = createServer((socket) => void socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  await using proxy = await TcpProxy.open(`127.0.0.1:${(echo.address() as AddressInfo).port}`);
  const [host, port] = proxy.address.split(":");
  const open = () => connect({ host: host as string, port: Number(port) });
  const socket = open();
  const heard: string[] = [];
  socket.on("data", (bytes) => heard.push(bytes.toString()));
  socket.write("one");
  while (heard.join("") !== "one") await pause(5);

  proxy.stall();
  socket.write("two");
  await pause(50);
  expect(heard.join("")).toBe("one");
  proxy.heal();
  while (heard.join("") !== "onetwo") await pause(5);

  const closed = once(socket, "close");
  proxy.cut();
  await closed;
  const refused = open();
  await once(refused, "close");
  expect(refused.bytesRead).toBe(0);
  proxy.heal();
  const again = open();
  again.write("three");
  expect(String((await once(again, "data"))[0])).toBe("three");
  again.destroy();
  echo.close();
});
