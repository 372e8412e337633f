import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { option, Peer } from "../../plugins/transport-coap/testing/server.ts";
import { MqttDevice } from "./mqtt.ts";
import { row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { entity, eventually, pause, type TestDevice, TestTenant } from "./tenant.ts";

const attributes = "v1/devices/me/attributes";
const file = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7) % 251));
const sha256 = createHash("sha256").update(file).digest("hex");

describe.concurrent("device-api 9.5, 9.8, 9.9, packages", () => {
  let target: Target;
  let tenant: TestTenant;
  let profileId: string;
  let packages = 0;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
    profileId = await tenant.profile({});
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  interface Package {
    readonly id: string;
    readonly title: string;
    readonly version: string;
  }
  async function uploaded(
    more: { type?: "FIRMWARE" | "SOFTWARE"; url?: string; profile?: string } = {},
  ): Promise<Package> {
    const [title, version] = [`app ${++packages}`, "1.2"];
    const info = {
      ...{ title, version, type: more.type ?? "FIRMWARE", tag: `${title} tag` },
      deviceProfileId: entity("DEVICE_PROFILE", more.profile ?? profileId),
      ...(more.url === undefined ? {} : { url: more.url, isURL: true }),
    };
    const { id } = await tenant.rest.post("/api/otaPackage", info);
    if (more.url !== undefined) return { id: id.id, title, version };
    const form = new FormData();
    form.append("file", new Blob([file]), "app.bin");
    const answer = await fetch(`${target.http}/api/otaPackage/${id.id}?checksumAlgorithm=SHA256&checksum=${sha256}`, {
      method: "POST",
      headers: { "x-authorization": `Bearer ${tenant.rest.token}` },
      body: form,
    });
    if (answer.status !== 200) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
    return { id: id.id, title, version };
  }
  async function assign(device: TestDevice, to: Package | null, field = "firmwareId"): Promise<void> {
    const stored = await tenant.rest.get(`/api/device/${device.id}`);
    const value = to === null ? null : entity("OTA_PACKAGE", to.id);
    await tenant.rest.post("/api/device", { ...stored, [field]: value });
  }
  async function withPackage(more: Parameters<typeof uploaded>[0] = {}, field = "firmwareId") {
    const device = await tenant.device({ profileId });
    const assigned = await uploaded(more);
    await assign(device, assigned, field);
    return { device, assigned };
  }
  const topic = (chunk: number, request = "1", kind = "fw") => `v2/${kind}/request/${request}/chunk/${chunk}`;

  row("MQTT-OTA-01", "an assignment is pushed as shared attributes and told as telemetry", async () => {
    const device = await tenant.device({ profileId });
    using peer = await MqttDevice.connect(target, { level: 5, username: device.token });
    await peer.subscribe(attributes);
    await pause(400);
    const { title, version, ...assigned } = await uploaded();
    await assign(device, { title, version, ...assigned });
    // A push of what is gone may come before or behind it (device-api corrections, 2.8).
    let pushed: Record<string, unknown> = {};
    while (pushed["fw_title"] === undefined) pushed = JSON.parse((await peer.hear(10_000)).text);
    expect(pushed).toEqual({
      fw_title: title,
      fw_version: version,
      fw_tag: `${title} tag`,
      fw_size: file.length,
      fw_checksum_algorithm: "SHA256",
      fw_checksum: sha256,
    });
    await eventually(
      () => tenant.latest(device.id),
      (found) => found["fw_state"]?.value === "INITIATED" && found["target_fw_title"]?.value === title,
    );
    const states = (await tenant.history(device.id, "fw_state")).map(({ value }) => value);
    expect(states).toEqual(["QUEUED", "INITIATED"]);
    expect(await tenant.latest(device.id)).toMatchObject({ target_fw_version: { value: version } });
  });

  rowOnBoth("MQTT-OTA-02", "a chunk comes behind its acknowledgement", async (level) => {
    const { device } = await withPackage();
    using peer = await MqttDevice.connect(target, { level, username: device.token });
    peer.publish(topic(0), "1024");
    await peer.until(() => peer.packets.length === 2, "acknowledgement and chunk");
    expect(peer.packets.map(({ cmd }) => cmd)).toEqual(["puback", "publish"]);
    const { topic: answered, payload } = await peer.next("publish");
    expect([answered, payload]).toEqual(["v2/fw/response/1/chunk/0", file.subarray(0, 1024)]);
  });

  async function downloaded(peer: MqttDevice, size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let chunk = 0; ; chunk++) {
      peer.publish(topic(chunk), String(size));
      const { payload } = await peer.hear();
      parts.push(payload);
      if (payload.length < size) return Buffer.concat(parts);
    }
  }
  row("MQTT-OTA-03", "all chunks are the file, whose checksum is the one that was pushed", async () => {
    const { device } = await withPackage();
    using peer = await MqttDevice.connect(target, { username: device.token });
    const whole = await downloaded(peer, 900);
    expect(whole.equals(file)).toBe(true);
    const pushed = await eventually(
      () => tenant.attributes(device.id, "SHARED_SCOPE"),
      (found) => "fw_checksum" in found,
    );
    expect(createHash("sha256").update(whole).digest("hex")).toBe(pushed["fw_checksum"]);
  });

  row("MQTT-OTA-04", "beyond the end there is nothing; MQTT-OTA-05 the size is remembered", async () => {
    const { device } = await withPackage();
    using peer = await MqttDevice.connect(target, { username: device.token });
    peer.publish(topic(100), "1024");
    expect((await peer.hear()).payload.length).toBe(0);
    peer.publish(topic(1), "");
    expect((await peer.hear()).payload.equals(file.subarray(1024, 2048))).toBe(true);
  });

  row("MQTT-OTA-05", "a chunk without a size has that of the one before", async () => {
    const { device } = await withPackage();
    using peer = await MqttDevice.connect(target, { username: device.token });
    peer.publish(topic(0), "1000");
    await peer.hear();
    peer.publish(topic(1), "");
    expect((await peer.hear()).payload.equals(file.subarray(1000, 2000))).toBe(true);
  });

  row("MQTT-OTA-06", "no subscription is needed, and one that is refused does no harm", async () => {
    const { device } = await withPackage();
    using peer = await MqttDevice.connect(target, { level: 5, username: device.token });
    expect(await peer.subscribe("v2/fw/response/+")).toEqual([0x8f]);
    peer.publish(topic(0), "10");
    expect((await peer.hear()).payload.length).toBe(10);
  });

  async function failsWith(why: string, level: 4 | 5, device: TestDevice, size: string) {
    using peer = await MqttDevice.connect(target, { level, username: device.token });
    peer.publish(topic(0), size);
    expect(await peer.hear()).toMatchObject({ topic: "v2/fw/error", text: why });
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x83);
    await peer.closedUnanswered();
  }
  rowOnBoth("MQTT-OTA-07", "too large a chunk", async (level) => {
    await failsWith("PAYLOAD_TOO_LARGE", level, (await withPackage()).device, "100000");
  });
  rowOnBoth("MQTT-OTA-08", "nothing assigned", async (level) => {
    await failsWith("NOT_FOUND", level, await tenant.device(), "1024");
  });
  rowOnBoth("MQTT-OTA-09", "a package that lies elsewhere", async (level) => {
    const { device } = await withPackage({ url: "http://example.org/app.bin" });
    const pushed = await eventually(
      () => tenant.attributes(device.id, "SHARED_SCOPE"),
      (found) => "fw_url" in found,
    );
    expect(pushed).toMatchObject({ fw_url: "http://example.org/app.bin" });
    expect(pushed).not.toHaveProperty("fw_size");
    await failsWith("FAILURE", level, device, "1024");
  });

  row("MQTT-OTA-10", "without its package the device is told that the attributes are gone", async () => {
    const { device } = await withPackage();
    await eventually(
      () => tenant.attributes(device.id, "SHARED_SCOPE"),
      (found) => "fw_title" in found,
    );
    using peer = await MqttDevice.connect(target, { username: device.token });
    await peer.subscribe(attributes);
    await pause(400);
    await assign(device, null);
    const { deleted } = JSON.parse((await peer.hear(10_000)).text);
    expect(deleted).toEqual(expect.arrayContaining(["fw_title", "fw_version", "fw_size", "fw_checksum"]));
    await eventually(
      () => tenant.attributes(device.id, "SHARED_SCOPE"),
      (found) => !("fw_title" in found),
    );
  });

  row("MQTT-OTA-11", "the package of a profile is that of its devices", async () => {
    const own = await tenant.profile({});
    const device = await tenant.device({ profileId: own });
    const assigned = await uploaded({ profile: own });
    const stored = await tenant.rest.get(`/api/deviceProfile/${own}`);
    await tenant.rest.post("/api/deviceProfile", { ...stored, firmwareId: entity("OTA_PACKAGE", assigned.id) });
    await eventually(
      () => tenant.attributes(device.id, "SHARED_SCOPE"),
      ({ fw_title }) => fw_title === assigned.title,
    );
    using peer = await MqttDevice.connect(target, { username: device.token });
    expect((await downloaded(peer, 2_000)).equals(file)).toBe(true);
  });

  row("MQTT-OTA-12", "software on its own topics", async () => {
    const { device } = await withPackage({ type: "SOFTWARE" }, "softwareId");
    using peer = await MqttDevice.connect(target, { username: device.token });
    peer.publish(topic(0, "1", "sw"), "100");
    const { topic: answered, payload } = await peer.hear();
    expect([answered, payload.equals(file.subarray(0, 100))]).toEqual(["v2/sw/response/1/chunk/0", true]);
  });

  async function get(path: string) {
    const answer = await fetch(`${target.http}/api/v1/${path}`);
    return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
  }
  const asking = ({ token }: TestDevice, { title, version }: Package, more = "") =>
    `${token}/firmware?title=${encodeURIComponent(title)}&version=${version}${more}`;
  row("HTTP-24", "the package over HTTP", async () => {
    const { device, assigned } = await withPackage();
    const { status, headers, bytes } = await get(asking(device, assigned));
    expect([status, headers.get("x-filename"), bytes.equals(file)]).toEqual([200, "app.bin", true]);
  });
  row("HTTP-25", "another version is 400", async () => {
    const { device, assigned } = await withPackage();
    expect((await get(asking(device, { ...assigned, version: "9" }))).status).toBe(400);
  });
  row("HTTP-27", "in chunks to the end, and one more", async () => {
    const { device, assigned } = await withPackage();
    const sizes: number[] = [];
    for (let chunk = 0; chunk < 4; chunk++) {
      const { status, bytes } = await get(asking(device, assigned, `&size=2000&chunk=${chunk}`));
      expect(status).toBe(200);
      sizes.push(bytes.length);
    }
    expect(sizes).toEqual([2000, 2000, 1000, 0]);
  });

  row("COAP-18", "the package over CoAP, block by block", async () => {
    const { device } = await withPackage();
    const peer = await Peer.open(target.coap);
    const parts: Buffer[] = [];
    for (let num = 0, more = true; more; num++) {
      const block = Buffer.from([(num >> 4) & 0xff, ((num & 0xf) << 4) | 6]);
      peer.request("GET", `fw/${device.token}`, {
        token: Buffer.from([num]),
        options: [{ name: "Block2", value: block }],
      });
      await eventually(
        () => peer.received.length,
        (count) => count > num,
      );
      const answer = peer.received[num];
      expect(answer?.code).toBe("2.05");
      parts.push(answer?.payload as Buffer);
      more = ((option(answer, "Block2") ?? 0) & 8) !== 0;
    }
    peer.close();
    expect(Buffer.concat(parts).equals(file)).toBe(true);
  });

  row("ACT-12", "fetching chunks is no sign of life", async () => {
    const { device } = await withPackage();
    using peer = await MqttDevice.connect(target, { username: device.token });
    const time = async () => (await tenant.attributes(device.id, "SERVER_SCOPE"))["lastActivityTime"] as number;
    const before = await eventually(time, (ms) => ms > 0);
    await pause(3_200);
    await downloaded(peer, 1_000);
    await pause(500);
    expect(await time()).toBe(before);
  });
});
