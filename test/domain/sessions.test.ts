import {
  type DeviceEvent,
  type DeviceIdentity,
  deviceCollection,
  deviceLane,
  entityKey,
  type Session,
  type SessionEnd,
} from "@heddle/plugin-sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addDevice, addTenant, call, domainNode, eventually, type Probe, tenantId } from "../fixtures/domain-node.ts";

const [gatewayId, childId] = ["11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"];
const about = { transport: "test", peer: "" };

let node: Awaited<ReturnType<typeof domainNode>>["node"];
let probe: Probe;
let gateway: DeviceIdentity;
let child: DeviceIdentity;
beforeEach(async () => {
  ({ node, probe } = await domainNode());
  await addTenant(probe);
  await addDevice(probe, gatewayId, "gateway");
  await addDevice(probe, childId, "child");
  await change(gatewayId, { additionalInfo: { gateway: true, overwriteActivityTime: true } });
  gateway = (await probe.sessions.authenticate({ kind: "token", token: "gateway" }, call)) as DeviceIdentity;
  child = (await probe.sessions.identify(childId, call)) as DeviceIdentity;
});
afterEach(() => node.stop());

async function change(id: string, to: object): Promise<void> {
  const devices = probe.entities.collection(deviceCollection);
  const [stored] = await devices.get([id], call);
  await devices.put([{ value: { ...stored!.value, ...to }, expect: "any" }], call);
}
const tell = (event: DeviceEvent) =>
  probe.lanes.publish(deviceLane, entityKey(tenantId, { entityType: "DEVICE", id: event.deviceId }), event, call);
const down = { deliverAttributes: async () => {}, deliverRpc: async () => {} };
const open = (who: DeviceIdentity, through?: Session) =>
  probe.sessions.open(who, through === undefined ? about : { ...about, through }, down, call);
const reasonOf = ({ closed }: Session) => (closed.reason as SessionEnd | undefined)?.reason;
const attribute = async (id: string, key: string) =>
  (await probe.attributes.get({ entityType: "DEVICE", id }, "SERVER_SCOPE", [key], call))[0]?.value;

describe("open sessions", () => {
  it("MQTT-TEL-24 go on as the device is now, without a disconnect", async () => {
    const session = await open(child);
    await change(childId, { name: "renamed", customerId: "c" });
    await tell({ kind: "updated", tenantId, deviceId: childId });
    await eventually(
      () => session.device.deviceName,
      (name) => name === "renamed",
    );
    expect(session.device.customerId).toBe("c");
    expect(session.closed.aborted).toBe(false);
  });

  it("GW-28 a device that becomes a gateway is one with its next connection", async () => {
    const session = await open(child);
    await change(childId, { additionalInfo: { gateway: true }, label: "l" });
    await tell({ kind: "updated", tenantId, deviceId: childId });
    await eventually(
      () => session.device.deviceLabel,
      (label) => label === "l",
    );
    expect(session.device.gateway).toBe(false);
    expect((await probe.sessions.identify(childId, call))?.gateway).toBe(true);
  });

  it("CRED-26, CRED-28: end within a second when credentials change or the device goes", async () => {
    for (const kind of ["credentials", "deleted"] as const) {
      const session = await open(child);
      await tell({ kind, tenantId, deviceId: childId });
      await eventually(() => session.closed.aborted, Boolean, 1_000);
      expect(reasonOf(session)).toBe(kind);
    }
  });
});

describe("sessions of children", () => {
  it("GW-27 end with the session of their gateway", async () => {
    const speaker = await open(gateway);
    const spoken = await open(child, speaker);
    expect(await eventually(() => attribute(childId, "active"), Boolean)).toBe(true);
    await speaker[Symbol.asyncDispose]();
    expect(reasonOf(spoken)).toBe("gateway");
    await eventually(() => attribute(childId, "lastDisconnectTime"), Boolean);
    await expect(open(child, speaker)).rejects.toMatchObject({ code: "session.gone" });
  });

  it("GW-16 give way to a direct connection, and the other way round", async () => {
    const speaker = await open(gateway);
    const spoken = await open(child, speaker);
    const direct = await open(child);
    await eventually(() => spoken.closed.aborted, Boolean);
    expect(reasonOf(spoken)).toBe("replaced");
    const again = await open(child, speaker);
    await eventually(() => direct.closed.aborted, Boolean);
    expect([again.closed.aborted, speaker.closed.aborted]).toEqual([false, false]);
  });

  it("GW-29 hear with their gateway where that is wanted", async () => {
    const speaker = await open(gateway);
    await open(child, speaker);
    const before = (await eventually(() => attribute(childId, "lastActivityTime"), Boolean)) as number;
    await eventually(
      () => {
        speaker.touch();
        return attribute(childId, "lastActivityTime");
      },
      (time) => (time as number) > before,
      8_000,
    );
  });
});
