import { join } from "node:path";
import { type DeviceIdentity, ruleChainCollection } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { addDevice, addTenant, call, domainNode, eventually, tenantId } from "../fixtures/domain-node.ts";

const deviceId = "de9d54a0-2b7a-11ec-a3cc-23386423d98f";

it("a rule node that never comes back costs its message, not the ones behind it", async () => {
  const { node, probe } = await domainNode({
    rules: { use: "@heddle/rules", config: { deadline: "1s" } },
    hang: { use: join(import.meta.dirname, "../fixtures/hanging-node.ts") },
  });
  await addTenant(probe);
  await addDevice(probe, deviceId, "token");
  const chains = probe.entities.collection(ruleChainCollection);
  const { items } = await chains.find({ where: { tenantId, root: true }, limit: 1 }, call);
  const chain = items[0]!;
  const nodes = chain.value.nodes.map((one) =>
    one.name === "Save Client Attributes" ? { ...one, type: "test.hang" } : one,
  );
  await chains.put([{ value: { ...chain.value, nodes }, expect: chain.version }], call);
  await probe.rules.changed(tenantId, call);
  const who = (await probe.sessions.authenticate({ kind: "token", token: "token" }, call)) as DeviceIdentity;
  const device = probe.sessions.visit(who);
  await device.attributes(Buffer.from('{"a":1}'));
  // In a batch of its own: it is read when the one before is settled.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await device.telemetry(Buffer.from('{"t":1}'));
  const entity = { entityType: "DEVICE", id: deviceId };
  const found = await eventually(
    () => probe.series.latest(entity, ["t"], call),
    (points) => points.length === 1,
    6_000,
  );
  expect(found[0]?.value).toBe(1);
  await node.stop();
});
