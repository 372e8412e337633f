import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { row } from "./row.ts";
import { Target } from "./target.ts";
import { entity, eventually, TestTenant } from "./tenant.ts";

let target: Target;
let tenant: TestTenant;

beforeAll(async () => {
  // The server takes any free ports; these are only told.
  const ports = { mqtt: "1883", coap: "5683" };
  const set = Object.fromEntries(
    Object.entries(ports).map(([name, port]) => [`plugins.apiHttp.config.connectivity.${name}`, port]),
  );
  target = await Target.start({ set });
  tenant = await TestTenant.create(target);
}, 120_000);
afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
});

const word = () => randomBytes(6).toString("hex");
const file = randomBytes(300_000);
const sha256 = createHash("sha256").update(file).digest("hex");

async function addPackage(more: object = {}): Promise<string> {
  const info = { type: "FIRMWARE", title: word(), version: "1", tag: "app 1", ...more };
  return (await tenant.rest.post("/api/otaPackage", info)).id.id;
}

async function upload(id: string, query: string, bytes = file): Promise<{ status: number; body: any }> {
  const form = new FormData();
  form.append("file", new Blob([bytes], { type: "application/x-firmware" }), "app 1.bin");
  const answer = await fetch(`${target.http}/api/otaPackage/${id}?${query}`, {
    method: "POST",
    headers: { "x-authorization": `Bearer ${tenant.rest.token}` },
    body: form,
  });
  return { status: answer.status, body: await answer.json() };
}

const download = (id: string) =>
  fetch(`${target.http}/api/otaPackage/${id}/download`, {
    headers: { "x-authorization": `Bearer ${tenant.rest.token}` },
  });

describe("OTA packages", () => {
  row("R-OTA-01", "data with a wrong checksum is refused and not kept; the right one is, once", async () => {
    const id = await addPackage();
    const wrong = await upload(id, "checksumAlgorithm=MD5&checksum=00");
    expect([wrong.status, wrong.body.message]).toEqual([400, "Wrong otaPackage file!"]);
    expect((await tenant.rest.get(`/api/otaPackage/info/${id}`)).hasData).toBe(false);
    const right = await upload(id, `checksumAlgorithm=SHA256&checksum=${sha256}`);
    expect(right.body).toMatchObject({
      hasData: true,
      fileName: "app 1.bin",
      contentType: "application/x-firmware",
      checksumAlgorithm: "SHA256",
      checksum: sha256,
      dataSize: file.length,
    });
    const again = await upload(id, "checksumAlgorithm=SHA256");
    expect(again.body.message).toBe("Updating otaPackage content type is prohibited!");
    const answer = await download(id);
    expect(answer.headers.get("x-filename")).toBe("app 1.bin");
    expect(Buffer.from(await answer.arrayBuffer()).equals(file)).toBe(true);
    const whole = await tenant.rest.get(`/api/otaPackage/${id}`);
    expect(Buffer.from(whole.data, "base64").equals(file)).toBe(true);
  });

  it("a link needs no data, cannot be downloaded, and is listed with what has data", async () => {
    const deviceProfileId = entity("DEVICE_PROFILE", await tenant.profile({}));
    const id = await addPackage({ url: "http://files/app", deviceProfileId });
    await addPackage({ deviceProfileId });
    const { status } = await download(id);
    expect(status).toBe(400);
    const page = await tenant.rest.get(`/api/otaPackages/${deviceProfileId.id}/FIRMWARE?pageSize=10&page=0`);
    expect(page.data.map((one: any) => one.id.id)).toEqual([id]);
    const blank = await tenant.rest.call("POST", "/api/otaPackage", {
      type: "FIRMWARE",
      title: "t",
      version: "1",
      usesUrl: true,
    });
    expect([blank.status, blank.body.message]).toEqual([400, "Ota package URL should be specified!"]);
  });

  row(
    "R-OTA-03",
    "a profile's package reaches its devices, a device's own wins, and neither can be deleted",
    async () => {
      const [own, shared] = [await addPackage(), await addPackage({ url: "http://files/app" })];
      await upload(own, "checksumAlgorithm=SHA256");
      const profileId = await tenant.profile({});
      const plain = await tenant.device({ profileId });
      const special = await tenant.device({ profileId, more: { firmwareId: entity("OTA_PACKAGE", own) } });
      const profile = await tenant.rest.get(`/api/deviceProfile/${profileId}`);
      await tenant.rest.post("/api/deviceProfile", { ...profile, firmwareId: entity("OTA_PACKAGE", shared) });
      const shared1 = await eventually(
        () => tenant.attributes(plain.id, "SHARED_SCOPE"),
        (found) => "fw_url" in found,
      );
      expect(shared1).toMatchObject({ fw_version: "1", fw_tag: "app 1", fw_url: "http://files/app" });
      const shared2 = await eventually(
        () => tenant.attributes(special.id, "SHARED_SCOPE"),
        (found) => "fw_size" in found,
      );
      expect(shared2).toMatchObject({ fw_size: file.length, fw_checksum: sha256, fw_checksum_algorithm: "SHA256" });
      expect((await tenant.latest(special.id))["fw_state"]?.value).toBe("INITIATED");
      expect((await tenant.latest(plain.id))["target_fw_version"]?.value).toBe("1");
      expect(await tenant.rest.get(`/api/devices/count/FIRMWARE/${profileId}`)).toBe(1);
      for (const [id, what] of [
        [own, "devices"],
        [shared, "device profile"],
      ]) {
        const refused = await tenant.rest.call("DELETE", `/api/otaPackage/${id}`);
        expect(refused.body.message).toBe(`The otaPackage referenced by the ${what} cannot be deleted!`);
      }
      const device = await tenant.rest.get(`/api/device/${special.id}`);
      await tenant.rest.post("/api/device", { ...device, firmwareId: null });
      await eventually(
        () => tenant.attributes(special.id, "SHARED_SCOPE"),
        (found) => found["fw_url"] === "http://files/app" && !("fw_size" in found),
      );
      await tenant.rest.delete(`/api/otaPackage/${own}`);
      expect((await tenant.rest.call("GET", `/api/otaPackage/info/${own}`)).status).toBe(404);
    },
  );
});

describe("relations", () => {
  const relate = async () => {
    const [from, to] = [await tenant.device(), await tenant.device()];
    const edge = { from: entity("DEVICE", from.id), to: entity("DEVICE", to.id), type: "Contains" };
    const query = `fromId=${from.id}&fromType=DEVICE&relationType=Contains&toId=${to.id}&toType=DEVICE`;
    return { from, to, edge, query };
  };

  row("R-REL-01", "POST /api/relation has no answer, GET finds it, both ends are told", async () => {
    const { from, to, edge, query } = await relate();
    expect(await tenant.rest.post("/api/relation", edge)).toBeUndefined();
    expect(await tenant.rest.get(`/api/relation?${query}`)).toMatchObject({ ...edge, typeGroup: "COMMON" });
    for (const { id } of [from, to]) {
      await eventually(
        () => tenant.eventsOf(id),
        (types) => types.includes("RELATION_ADD_OR_UPDATE"),
      );
    }
  });

  row("R-REL-02", "POST /api/v2/relation answers the relation with its version", async () => {
    const { edge } = await relate();
    expect(await tenant.rest.post("/api/v2/relation", edge)).toMatchObject({
      ...edge,
      version: 1,
      additionalInfo: null,
    });
  });

  row("R-REL-03", "a relation without type or end is refused", async () => {
    const { edge } = await relate();
    const message = async (more: object) =>
      (await tenant.rest.call("POST", "/api/relation", { ...edge, ...more })).body;
    expect(await message({ type: null })).toMatchObject({
      status: 400,
      message: "Validation error: type must not be blank",
    });
    expect(await message({ from: null })).toMatchObject({ message: "Validation error: from must not be null" });
    expect((await message({ to: entity("ASSET", edge.to.id) })).status).toBe(404);
  });

  row("R-REL-04", "deleting one that is not there is 404", async () => {
    const { query } = await relate();
    const { status, body } = await tenant.rest.call("DELETE", `/api/relation?${query}`);
    expect([status, body.message]).toEqual([404, "Requested item wasn't found!"]);
  });

  row("R-REL-05", "lists of one end name the other end, in the old form and the new one", async () => {
    const { from, to, edge } = await relate();
    await tenant.rest.post("/api/relation", edge);
    const old = await tenant.rest.get(`/api/relations/info?fromId=${from.id}&fromType=DEVICE`);
    expect(old).toMatchObject([{ ...edge, toName: to.name }]);
    expect(await tenant.rest.get(`/api/relations/info/to/DEVICE/${to.id}`)).toMatchObject([{ fromName: from.name }]);
    expect(await tenant.rest.get(`/api/relations/from/DEVICE/${from.id}/Uses`)).toEqual([]);
    expect((await tenant.rest.call("GET", "/api/relations")).status).toBe(400);
  });

  row("R-REL-06", "deleting an end deletes the relation", async () => {
    const { from, to, edge } = await relate();
    await tenant.rest.post("/api/relation", edge);
    await tenant.rest.delete(`/api/device/${to.id}`);
    expect(await tenant.rest.get(`/api/relations?fromId=${from.id}&fromType=DEVICE`)).toEqual([]);
  });

  row("R-DEV-24", "devices are searched along relations, and seen by those who may", async () => {
    const { from, to, edge } = await relate();
    await tenant.rest.post("/api/relation", edge);
    const parameters = { rootId: from.id, rootType: "DEVICE", direction: "FROM", maxLevel: 1 };
    const query = { parameters, relationType: "Contains", deviceTypes: ["default"] };
    expect((await tenant.rest.post("/api/devices", query)).map((one: any) => one.id.id)).toEqual([to.id]);
    expect(await tenant.rest.post("/api/devices", { ...query, deviceTypes: ["other"] })).toEqual([]);
    expect(await tenant.rest.post("/api/relations", { parameters })).toMatchObject([edge]);
    const customer = await tenant.customer();
    expect((await customer.rest.call("POST", "/api/devices", query)).status).toBe(403);
    await tenant.rest.post(`/api/customer/${customer.id}/device/${from.id}`);
    expect(await customer.rest.post("/api/relations", { parameters })).toEqual([]);
    await tenant.rest.delete(`/api/relations?entityId=${from.id}&entityType=DEVICE`);
    expect(await tenant.rest.post("/api/relations", { parameters })).toEqual([]);
  });
});

describe("devices from tables, and their commands", () => {
  const importing = (file: string, update: boolean) =>
    tenant.rest.post("/api/device/bulk_import", {
      file,
      mapping: {
        columns: [
          { type: "NAME" },
          { type: "TYPE" },
          { type: "SERVER_ATTRIBUTE", key: "k" },
          { type: "TIMESERIES", key: "t" },
          { type: "MQTT_USER_NAME" },
          { type: "IS_GATEWAY" },
        ],
        delimiter: ";",
        update,
        header: true,
      },
    });

  row("R-BULK-01", "and R-BULK-02: rows run apart, and change what is there", async () => {
    const names = [word(), word()];
    const table = `name;type;k;t;user;gw\n${names[0]};pump;{"a":1};1.5;u${names[0]};true\n;pump;1;1;;\n"${names[1]}";;true;x;;`;
    const first = await importing(table, false);
    expect(first).toMatchObject({ created: 2, updated: 0, errors: 1 });
    expect(first.errorsList).toEqual(["Line 3: Device name should be specified!"]);
    const [one, two] = await Promise.all(names.map((name) => tenant.deviceByName(name)));
    expect([one.type, one.additionalInfo, two.type]).toEqual(["pump", { gateway: true }, "default"]);
    expect(await tenant.attributes(one.id.id, "SERVER_SCOPE")).toMatchObject({ k: { a: 1 } });
    expect((await tenant.latest(one.id.id))["t"]?.value).toBe(1.5);
    expect((await tenant.rest.get(`/api/device/${one.id.id}/credentials`)).credentialsType).toBe("MQTT_BASIC");
    const changed = table.replace('{"a":1}', "5");
    expect(await importing(changed, false)).toMatchObject({ created: 0, updated: 2, errors: 1 });
    expect(await tenant.attributes(one.id.id, "SERVER_SCOPE")).toMatchObject({ k: { a: 1 } });
    await importing(changed, true);
    expect(await tenant.attributes(one.id.id, "SERVER_SCOPE")).toMatchObject({ k: 5 });
  });

  row("R-DEV-25", "claiming without an open window fails, and giving back what nobody has is fine", async () => {
    const device = await tenant.device();
    const { rest } = await tenant.customer();
    const path = `/api/customer/device/${encodeURIComponent(device.name)}/claim`;
    expect(await rest.call("POST", path)).toEqual({ status: 400, body: "FAILURE" });
    expect((await rest.call("DELETE", path)).status).toBe(200);
    expect((await tenant.rest.call("POST", path)).status).toBe(403);
    const { status } = await rest.call("POST", "/api/customer/device/nobody/claim", { secretKey: "" });
    expect(status).toBe(404);
    const data = { secretKey: "k", expirationTime: Date.now() + 60_000 };
    await tenant.saveAttributes(device.id, "SERVER_SCOPE", { claimingData: data });
    expect((await rest.call("POST", path, { secretKey: "k" })).body.response).toBe("SUCCESS");
    expect(await rest.call("POST", path, { secretKey: "k" })).toEqual({ status: 400, body: "CLAIMED" });
    const other = await tenant.customer();
    expect((await other.rest.call("DELETE", path)).status).toBe(403);
    expect((await tenant.rest.call("DELETE", path)).status).toBe(200);
  });

  it("connectivity shows commands with the ports that devices are told", async () => {
    const device = await tenant.device();
    const commands = await tenant.rest.get(`/api/device-connectivity/${device.id}`);
    expect(Object.keys(commands)).toEqual(["http", "mqtt", "coap"]);
    const urls = target.nodes.map(({ http }) => `${http}/api/v1/${device.token}/telemetry`);
    expect(urls.filter((url) => commands.http.http.includes(url))).toHaveLength(1);
    const stranger = await TestTenant.create(target);
    expect((await stranger.rest.call("GET", `/api/device-connectivity/${device.id}`)).status).toBe(404);
  });
});
