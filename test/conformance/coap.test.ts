import { afterAll, beforeAll, describe, expect } from "vitest";
import { option, Peer } from "../../plugins/transport-coap/testing/server.ts";
import { MqttDevice } from "./mqtt.ts";
import { row } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

const observe = { options: [{ name: "Observe", value: Buffer.alloc(0) }] };
const noLonger = { options: [{ name: "Observe", value: Buffer.from([1]) }] };

describe.concurrent("device-api 9.9, CoAP", () => {
  let target: Target;
  let tenant: TestTenant;
  const peers: Peer[] = [];
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(async () => {
    for (const peer of peers) peer.close();
    await target?.[Symbol.asyncDispose]();
  });

  /** A client that confirms what it must, and hears answers by their token. */
  async function client() {
    const peer = await Peer.open(target.coap);
    peers.push(peer);
    peer.onMessage = ({ confirmable, messageId }) => confirmable && peer.acknowledge(messageId);
    let tokens = 0;
    const heard = (token: Buffer) =>
      peer.received.filter((message) => message.token.equals(token) && message.code !== "0.00");
    const ask = async (method: string, path: string, payload?: string, more: object = {}) => {
      const token = Buffer.from([1, ++tokens]);
      peer.request(method, path, {
        token,
        ...(payload === undefined ? {} : { payload: Buffer.from(payload) }),
        ...more,
      });
      await eventually(
        () => heard(token).length,
        (count) => count > 0,
      );
      const [answer] = heard(token);
      return { code: answer?.code, text: answer?.payload.toString(), answer, token };
    };
    /** The notification with that number, counted from 0. */
    const notified = async (token: Buffer, number: number) => {
      await eventually(
        () => heard(token).length,
        (count) => count > number,
      );
      return heard(token)[number];
    };
    return { peer, ask, heard, notified };
  }
  const call = (id: string) => tenant.rest.call("POST", `/api/rpc/twoway/${id}`, { method: "m", params: { on: true } });

  row("COAP-01", "telemetry is 2.01", async () => {
    const { id, token } = await tenant.device();
    const { ask } = await client();
    expect(await ask("POST", `api/v1/${token}/telemetry`, '{"a":1}')).toMatchObject({ code: "2.01", text: "" });
    await eventually(
      () => tenant.latest(id),
      ({ a }) => a?.value === 1,
    );
  });
  row("COAP-02", "malformed telemetry is 4.00", async () => {
    const { token } = await tenant.device();
    expect((await (await client()).ask("POST", `api/v1/${token}/telemetry`, '{"a":1')).code).toBe("4.00");
  });
  row("COAP-03", "a bad token is 4.01", async () => {
    expect((await (await client()).ask("POST", "api/v1/nobody/telemetry", "{}")).code).toBe("4.01");
  });
  row("COAP-04", "telemetry cannot be read, and unknown features are 4.00", async () => {
    const { token } = await tenant.device();
    const { ask } = await client();
    expect((await ask("GET", `api/v1/${token}/telemetry`)).code).toBe("4.00");
    expect((await ask("GET", `api/v1/${token}/foo`)).code).toBe("4.00");
  });
  row("COAP-05", "PUT is 4.05", async () => {
    const { token } = await tenant.device();
    expect((await (await client()).ask("PUT", `api/v1/${token}/telemetry`, "{}")).code).toBe("4.05");
  });
  row("COAP-06", "attributes are 2.05, and 4.04 when there are none", async () => {
    const { id, token } = await tenant.device();
    const { ask } = await client();
    expect((await ask("GET", `api/v1/${token}/attributes`)).code).toBe("4.04");
    await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
    const found = await ask("GET", `api/v1/${token}/attributes?sharedKeys=interval`);
    expect([found.code, JSON.parse(found.text ?? "")]).toEqual(["2.05", { shared: { interval: 30 } }]);
  });
  row("COAP-07", "attributes are 2.01", async () => {
    const { id, token } = await tenant.device();
    expect((await (await client()).ask("POST", `api/v1/${token}/attributes`, '{"k":1}')).code).toBe("2.01");
    await eventually(
      () => tenant.attributes(id, "CLIENT_SCOPE"),
      ({ k }) => k === 1,
    );
  });
  row("COAP-08", "observed attributes: all of them first, then what changes", async () => {
    const { id, token } = await tenant.device();
    const { ask, notified } = await client();
    const first = await ask("GET", `api/v1/${token}/attributes`, undefined, observe);
    expect([first.code, first.text, option(first.answer, "Observe")]).toEqual(["2.05", "{}", 0]);
    await tenant.saveAttributes(id, "SHARED_SCOPE", { k: 1 });
    const next = await notified(first.token, 1);
    expect([next?.payload.toString(), option(next, "Observe")]).toEqual(['{"k":1}', 1]);
  });
  row("COAP-09", "a cancelled observation hears nothing more", async () => {
    const { id, token } = await tenant.device();
    const { peer, ask, heard } = await client();
    const first = await ask("GET", `api/v1/${token}/attributes`, undefined, observe);
    peer.request("GET", `api/v1/${token}/attributes`, { token: first.token, ...noLonger });
    await eventually(
      () => heard(first.token).length,
      (count) => count === 2,
    );
    expect(heard(first.token)[1]?.code).toBe("2.02");
    await tenant.saveAttributes(id, "SHARED_SCOPE", { k: 1 });
    await pause(500);
    expect(heard(first.token)).toHaveLength(2);
  });
  row("COAP-10", "observed calls, and the answer to one", async () => {
    const { id, token } = await tenant.device();
    const { ask, notified } = await client();
    const first = await ask("GET", `api/v1/${token}/rpc`, undefined, observe);
    expect([first.code, option(first.answer, "Observe")]).toEqual(["2.03", 0]);
    const answer = call(id);
    const request = JSON.parse((await notified(first.token, 1))?.payload.toString() ?? "");
    expect(request).toEqual({ id: 0, method: "m", params: { on: true } });
    expect((await ask("POST", `api/v1/${token}/rpc/0`, '{"ok":1}')).code).toBe("2.01");
    expect((await answer).body).toEqual({ ok: 1 });
  });
  row("COAP-11", "an answer that is no object is 5.00", async () => {
    const { token } = await tenant.device();
    expect((await (await client()).ask("POST", `api/v1/${token}/rpc/0`, '"x"')).code).toBe("5.00");
  });
  row("COAP-12", "a device's own call is answered by the rule chain", async () => {
    const { token } = await tenant.device();
    const { code, text } = await (await client()).ask(
      "POST",
      `api/v1/${token}/rpc`,
      '{"method":"echo","params":{"a":1}}',
    );
    expect([code, text]).toEqual(["2.05", '{"a":1}']);
  });
  row("COAP-13", "without an answer 5.04 after 10 s", async () => {
    const { token } = await tenant.device();
    const { peer, heard } = await client();
    const mine = Buffer.from("wait");
    peer.request("POST", `api/v1/${token}/rpc`, { token: mine, payload: Buffer.from('{"method":"m","params":{}}') });
    await eventually(
      () => heard(mine)[0]?.code,
      (code) => code === "5.04",
      15_000,
    );
  });
  row("COAP-14", "a claim is 2.01", async () => {
    const { token } = await tenant.device();
    expect((await (await client()).ask("POST", `api/v1/${token}/claim`, '{"secretKey":"k"}')).code).toBe("2.01");
  });
  row("COAP-15", "provisioning is 2.01, and 4.00 with a wrong secret, both with the reply", async () => {
    const key = `coap-${Date.now()}`;
    await tenant.profile({
      provision: { type: "ALLOW_CREATE_NEW_DEVICES", provisionDeviceSecret: "s" },
      provisionKey: key,
    });
    const { ask } = await client();
    const provision = async (secret: string) => {
      const { code, text } = await ask(
        "POST",
        "api/v1/provision",
        JSON.stringify({ provisionDeviceKey: key, provisionDeviceSecret: secret }),
      );
      return [code, JSON.parse(text ?? "").status];
    };
    expect(await provision("s")).toEqual(["2.01", "SUCCESS"]);
    expect(await provision("x")).toEqual(["4.00", "NOT_FOUND"]);
  });
  row("COAP-16", "a path in one option", async () => {
    const { token } = await tenant.device();
    const { peer, heard } = await client();
    const mine = Buffer.from("one");
    const options = [{ name: "Uri-Path", value: Buffer.from(`/api/v1/${token}/telemetry`) }];
    peer.send({ code: "POST", confirmable: true, token: mine, options, payload: Buffer.from('{"a":1}') });
    await eventually(
      () => heard(mine)[0]?.code,
      (code) => code === "2.01",
    );
  });
  row("COAP-17", "calls can only be observed", async () => {
    const { token } = await tenant.device();
    expect((await (await client()).ask("GET", `api/v1/${token}/rpc`)).code).toBe("4.00");
  });
  row("COAP-19", "no package assigned is 4.04, a bad token 4.01", async () => {
    const { token } = await tenant.device();
    const { ask } = await client();
    expect((await ask("GET", `fw/${token}`)).code).toBe("4.04");
    expect((await ask("GET", "fw/nobody")).code).toBe("4.01");
  });
  row("COAP-22", "a device of an MQTT profile is 5.00", async () => {
    const { token } = await tenant.device({ profileId: await tenant.profile({ transport: { type: "MQTT" } }) });
    expect((await (await client()).ask("POST", `api/v1/${token}/telemetry`, "{}")).code).toBe("5.00");
  });
  row("COAP-23", "non-confirmable telemetry is stored and answered non-confirmably", async () => {
    const { id, token } = await tenant.device();
    const { ask } = await client();
    const { code, answer } = await ask("POST", `api/v1/${token}/telemetry`, '{"a":1}', { confirmable: false });
    expect([code, answer?.confirmable, answer?.ack]).toEqual(["2.01", false, false]);
    await eventually(
      () => tenant.latest(id),
      ({ a }) => a?.value === 1,
    );
  });
  row("COAP-24", "a second observation takes the place of the first, which hears of it", async () => {
    const { token } = await tenant.device();
    const { ask, notified } = await client();
    const first = await ask("GET", `api/v1/${token}/attributes`, undefined, observe);
    await ask("GET", `api/v1/${token}/attributes`, undefined, observe);
    expect((await notified(first.token, 1))?.code).toBe("2.02");
  });
  row("COAP-25", "a repeated message is handled once", async () => {
    const { id, token } = await tenant.device();
    const { peer, heard } = await client();
    const mine = Buffer.from("again");
    const more = { token: mine, messageId: 4711, payload: Buffer.from('{"a":1}') };
    for (let copy = 0; copy < 3; copy++) peer.request("POST", `api/v1/${token}/telemetry`, more);
    await eventually(
      () => heard(mine).length,
      (count) => count > 0,
    );
    await eventually(
      () => tenant.latest(id),
      ({ a }) => a?.value === 1,
    );
    await pause(300);
    expect(tenant.eventsOf(id).filter((type) => type === "POST_TELEMETRY_REQUEST")).toHaveLength(1);
  });
  row("COAP-26", "what is meant for a sleeping device goes out when it is heard", async () => {
    const clientSettings = { powerMode: "PSM", psmActivityTimer: 500, edrxCycle: null, pagingTransmissionWindow: null };
    const coapDeviceTypeConfiguration = {
      coapDeviceType: "DEFAULT",
      transportPayloadTypeConfiguration: { transportPayloadType: "JSON" },
    };
    const profileId = await tenant.profile({
      transport: { type: "COAP", coapDeviceTypeConfiguration, clientSettings },
    });
    const { id, token } = await tenant.device({ profileId });
    const { ask, heard, notified } = await client();
    const first = await ask("GET", `api/v1/${token}/attributes`, undefined, observe);
    await pause(1_500);
    await tenant.saveAttributes(id, "SHARED_SCOPE", { k: 1 });
    await pause(700);
    expect(heard(first.token)).toHaveLength(1);
    await ask("POST", `api/v1/${token}/telemetry`, '{"awake":1}');
    expect((await notified(first.token, 1))?.payload.toString()).toBe('{"k":1}');
  });

  row("MQTT-CON-11", "an observation and an MQTT connection of one device replace each other", async () => {
    const { token } = await tenant.device();
    const { ask, notified } = await client();
    using mqtt = await MqttDevice.connect(target, { level: 5, username: token });
    const first = await ask("GET", `api/v1/${token}/attributes`, undefined, observe);
    expect((await mqtt.next("disconnect")).reasonCode).toBe(0x8e);
    using again = await MqttDevice.connect(target, { level: 5, username: token });
    expect((await notified(first.token, 1))?.code).toBe("2.02");
    expect(await again.stays()).toBe(true);
  });
});
