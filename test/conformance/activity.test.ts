import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { row } from "./row.ts";
import { Target } from "./target.ts";
import { type DeviceWish, eventually, pause, type TestDevice, TestTenant } from "./tenant.ts";

const telemetry = "v1/devices/me/telemetry";
const lifeCycle = /^(CONNECT|ACTIVITY|DISCONNECT|INACTIVITY)_EVENT$/;
/** Reports of activity are collected for 3 s (device-api 7.3). */
const reportMs = 3_000;

interface State {
  readonly active?: boolean;
  readonly lastConnectTime?: number;
  readonly lastActivityTime?: number;
  readonly lastDisconnectTime?: number;
  readonly inactivityAlarmTime?: number;
}

describe.concurrent("device-api 9.11, activity", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const connect = ({ token }: TestDevice) => MqttDevice.connect(target, { level: 4, username: token });
  async function connected(wish: DeviceWish = {}) {
    const device = await tenant.device(wish);
    const peer = await connect(device);
    return { ...device, peer, [Symbol.dispose]: () => peer.destroy() };
  }
  const stateOf = (id: string) => tenant.attributes(id, "SERVER_SCOPE") as Promise<State>;
  const stateWhen = (id: string, holds: (state: State) => boolean) => eventually(() => stateOf(id), holds, 15_000);
  const eventsOf = (id: string) => target.witnessed(id).filter(({ type }) => lifeCycle.test(type));
  const eventsWhen = (id: string, ...types: string[]) =>
    eventually(
      () => eventsOf(id),
      (events) => events.map(({ type }) => type).join() === types.join(),
      20_000,
    );
  const timeout = (id: string, ms: number) => tenant.saveAttributes(id, "SERVER_SCOPE", { inactivityTimeout: ms });
  const activeSince = async (id: string) =>
    (await stateWhen(id, ({ active }) => active === true)).lastActivityTime ?? 0;

  row("ACT-01", "a new device is inactive", async () => {
    const { id } = await tenant.device();
    await stateWhen(id, ({ active }) => active === false);
    expect(eventsOf(id)).toEqual([]);
  });

  row("ACT-02", "a connection makes it active, and is told first", async () => {
    using device = await connected();
    const [connect, activity] = await eventsWhen(device.id, "CONNECT_EVENT", "ACTIVITY_EVENT");
    const { lastConnectTime, lastActivityTime } = await stateWhen(device.id, ({ active }) => active === true);
    expect(JSON.parse(connect?.data ?? "")).toMatchObject({ lastConnectTime, lastActivityTime: 0 });
    expect(JSON.parse(activity?.data ?? "")).toMatchObject({ active: true, lastConnectTime, lastActivityTime });
    const path = `/api/plugins/telemetry/DEVICE/${device.id}/values/attributes/SERVER_SCOPE`;
    const written = (await tenant.rest.get(path)) as { key: string; lastUpdateTs: number }[];
    const at = (key: string) => written.find((one) => one.key === key)?.lastUpdateTs ?? Number.NaN;
    expect(at("lastConnectTime")).toBeLessThanOrEqual(at("active"));
  });

  row("ACT-03", "a publish advances the time of its last activity", async () => {
    using device = await connected();
    const before = await activeSince(device.id);
    await device.peer.say(telemetry, '{"a":1}');
    await stateWhen(device.id, ({ lastActivityTime = 0 }) => lastActivityTime > before);
  });

  row("ACT-04", "a ping alone advances it, too", async () => {
    using device = await connected();
    const before = await activeSince(device.id);
    await device.peer.stays();
    await stateWhen(device.id, ({ lastActivityTime = 0 }) => lastActivityTime > before);
  });

  async function endsActive(id: string, end: () => void) {
    await eventsWhen(id, "CONNECT_EVENT", "ACTIVITY_EVENT");
    const began = await activeSince(id);
    end();
    const events = await eventsWhen(id, "CONNECT_EVENT", "ACTIVITY_EVENT", "DISCONNECT_EVENT");
    const { active, lastDisconnectTime = 0 } = await stateWhen(id, (state) => state.lastDisconnectTime !== undefined);
    expect(active).toBe(true);
    expect(lastDisconnectTime).toBeGreaterThanOrEqual(began);
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ active: true, lastDisconnectTime });
  }

  row("ACT-05", "DISCONNECT is told, and leaves it active", async () => {
    using device = await connected();
    await endsActive(device.id, () => device.peer.send({ cmd: "disconnect", reasonCode: 0 }));
  });

  row("ACT-10", "a lost connection is one that has ended", async () => {
    using device = await connected();
    await endsActive(device.id, () => device.peer.destroy());
  });

  row("ACT-06", "silence beyond its time-out makes it inactive", async () => {
    using device = await connected();
    const began = await activeSince(device.id);
    await timeout(device.id, 1_000);
    const events = await eventsWhen(device.id, "CONNECT_EVENT", "ACTIVITY_EVENT", "INACTIVITY_EVENT");
    const state = await stateWhen(device.id, ({ active }) => active === false);
    const { inactivityAlarmTime = 0, lastActivityTime } = state;
    expect(inactivityAlarmTime).toBeGreaterThanOrEqual(began + 1_000);
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({
      ...{ active: false, lastActivityTime, inactivityTimeout: 1_000, lastInactivityAlarmTime: inactivityAlarmTime },
    });
  });

  row("ACT-07", "what is heard after that makes it active again", async () => {
    const device = await tenant.device();
    await timeout(device.id, 1_000);
    const say = async (value: number) => {
      using peer = await connect(device);
      await peer.say(telemetry, `{"a":${value}}`);
    };
    await say(1);
    const silent = ["CONNECT_EVENT", "ACTIVITY_EVENT", "DISCONNECT_EVENT", "INACTIVITY_EVENT"];
    await eventsWhen(device.id, ...silent);
    await say(2);
    const events = await eventually(
      () => eventsOf(device.id).slice(silent.length),
      (later) => later.some(({ type }) => type === "ACTIVITY_EVENT"),
      20_000,
    );
    expect(JSON.parse(events.find(({ type }) => type === "ACTIVITY_EVENT")?.data ?? "")).toMatchObject({
      active: true,
    });
  });

  row("ACT-08", "a time-out that is lowered or raised counts at once", async () => {
    const device = await tenant.device();
    {
      using peer = await connect(device);
      await peer.say(telemetry, '{"a":1}');
      await activeSince(device.id);
    }
    await pause(1_000);
    await timeout(device.id, 500);
    await stateWhen(device.id, ({ active }) => active === false);
    await timeout(device.id, 3_600_000);
    await stateWhen(device.id, ({ active }) => active === true);
    // The state is stored before the rule engine has the event.
    const wanted = ["CONNECT_EVENT", "ACTIVITY_EVENT", "INACTIVITY_EVENT", "ACTIVITY_EVENT"];
    await eventually(
      () => eventsOf(device.id).flatMap(({ type }) => (type === "DISCONNECT_EVENT" ? [] : [type])),
      (types) => types.join() === wanted.join(),
    );
  });

  row("ACT-09", "a take-over is a connection, and no end of one", async () => {
    using device = await connected();
    await eventsWhen(device.id, "CONNECT_EVENT", "ACTIVITY_EVENT");
    using newer = await connect(device);
    await device.peer.closed(10_000);
    await eventsWhen(device.id, "CONNECT_EVENT", "ACTIVITY_EVENT", "CONNECT_EVENT");
    await newer.say(telemetry, '{"a":1}');
    expect(eventsOf(device.id).map(({ type }) => type)).not.toContain("DISCONNECT_EVENT");
  });

  row("ACT-11", "what the events say, and of whom", async () => {
    const times = ["lastConnectTime", "lastActivityTime", "lastDisconnectTime", "lastInactivityAlarmTime"];
    const labelled = async (label: string | undefined) => {
      using device = await connected(label === undefined ? {} : { more: { label } });
      await activeSince(device.id);
      await timeout(device.id, 500);
      await eventsWhen(device.id, "CONNECT_EVENT", "ACTIVITY_EVENT", "INACTIVITY_EVENT");
      device.peer.destroy();
      const all = ["CONNECT_EVENT", "ACTIVITY_EVENT", "INACTIVITY_EVENT", "DISCONNECT_EVENT"];
      for (const { type, metadata, data } of await eventsWhen(device.id, ...all)) {
        const body = JSON.parse(data);
        const members = [...times, "inactivityTimeout", ...(type === "CONNECT_EVENT" ? [] : ["active"])];
        expect(Object.keys(body).sort(), type).toEqual(members.sort());
        for (const time of times) expect(body[time], `${type} ${time}`).toEqual(expect.any(Number));
        const of = { deviceName: device.name, deviceType: "default", scope: "SERVER_SCOPE" };
        const { ts: _, ...named } = metadata;
        expect(named, type).toEqual(label === undefined ? of : { ...of, deviceLabel: label });
      }
      const first = JSON.parse(eventsOf(device.id)[0]?.data ?? "");
      expect(first).toMatchObject({ lastActivityTime: 0, inactivityTimeout: 600_000 });
    };
    await Promise.all([labelled("by the door"), labelled(undefined)]);
  });

  row("ACT-12", "a request for a piece of a package is no activity", async () => {
    using device = await connected();
    const before = await activeSince(device.id);
    await pause(reportMs + 500);
    device.peer.publish("v2/fw/request/1/chunk/0", "1024");
    // Nothing is assigned: the device is told, and disconnected.
    expect(await device.peer.hear()).toMatchObject({ topic: "v2/fw/error" });
    await eventsWhen(device.id, "CONNECT_EVENT", "ACTIVITY_EVENT", "DISCONNECT_EVENT");
    await pause(reportMs + 500);
    expect((await stateOf(device.id)).lastActivityTime).toBe(before);
  });
});
