/** A member in a process of its own: prints what it may do, and when it is lost. `<servers> <chroot> <session ms>` */
import "reflect-metadata";
import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { ZookeeperCoordinator } from "../../plugins/coordinator-zookeeper/src/zookeeper-coordinator.ts";

const [servers = "", chroot = "", sessionMs = ""] = process.argv.slice(2);
const world = realWorld();
const coordinator = new ZookeeperCoordinator({
  world,
  log: silentLog,
  meter: { state() {}, reconnect() {}, heartbeat() {} },
  servers,
  chroot,
  sessionTimeoutMs: Number(sessionMs),
  login: undefined,
});
const self = { id: "child", address: "child:7400", roles: ["owner"], weight: 1, wire: 1, partitions: 16 };
const membership = await coordinator.join(self, { signal: AbortSignal.timeout(20_000) });
membership.lost.addEventListener("abort", () => {
  console.log("lost");
  clearInterval(turns);
});
console.log("joined");
// As the kernel does before every turn.
const turns = setInterval(() => console.log(world.elapsed() < membership.validUntil ? "turn" : "refused"), 20);
