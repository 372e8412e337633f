import { createHash } from "node:crypto";
import type { ChecksumAlgorithm, OtaPackageDocument } from "@heddle/plugin-sdk";
import { describe, expect, it, vi } from "vitest";
import { call, StandIn, tenantId } from "../testing/stand-in.ts";
import { pieceBytes } from "./package-bytes.ts";
import { StoredPackages } from "./stored-packages.ts";

const file = Buffer.from(Array.from({ length: 2 * pieceBytes + 1_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
const sha256 = createHash("sha256").update(file).digest("hex");

async function* cut(bytes: Buffer, size = 60_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function setUp(config: Partial<{ maxPackage: number; cache: number; uploadTime: number }> = {}) {
  const world = new StandIn();
  const packages = new StoredPackages(world.deps, {
    maxPackage: 10_000_000,
    cache: 1_000_000,
    uploadTime: 1_000,
    ...config,
  });
  const save = (more: Partial<OtaPackageDocument> = {}) =>
    packages.save({ tenantId, info: { type: "FIRMWARE", title: "app", version: "1", ...more } }, call);
  const upload = (packageId: string, data: AsyncIterable<Uint8Array> = cut(file), checksum?: string) =>
    packages.saveData(
      {
        tenantId,
        packageId,
        fileName: "app.bin",
        contentType: "application/octet-stream",
        checksumAlgorithm: "SHA256" as ChecksumAlgorithm,
        data,
        ...(checksum === undefined ? {} : { checksum }),
      },
      call,
    );
  const read = (id: string, from: number, to: number) => packages.read(id, { from, to }, call);
  return { world, packages, save, upload, read };
}

describe("what is said of a package (rest-semantics 15.10)", () => {
  it("needs title, version and type, and a profile that exists", async () => {
    const { save, world } = await setUp();
    const refused = (more: object, text: string) => expect(save(more)).rejects.toThrow(text);
    await refused({ title: " " }, "OtaPackage title should be specified!");
    await refused({ version: undefined }, "OtaPackage version should be specified!");
    await refused({ type: undefined }, "Type should be specified!");
    await refused({ deviceProfileId: "none" }, "OtaPackage is referencing to non-existent device profile!");
    await refused({ deviceProfileId: await world.profile({ tenantId: "other" }) }, "non-existent device profile!");
    await refused({ url: "x".repeat(256) }, "url length must be equal or less than 255");
    const { value } = await save();
    expect(value).toMatchObject({ hasData: false, dataSize: null, url: null, deviceProfileId: null });
    await refused({}, "OtaPackage with such title and version already exists!");
    expect(world.events.map(({ type, originator }) => [type, originator.entityType])).toEqual([
      ["ENTITY_CREATED", "OTA_PACKAGE"],
    ]);
  });

  it("does not change what devices may have fetched", async () => {
    const { save, upload } = await setUp();
    const { value } = await save({ tag: "t" });
    const stored = (await upload(value.id)).value;
    const refused = (more: object, what: string) =>
      expect(save({ ...stored, ...more })).rejects.toThrow(`Updating ${what} is prohibited!`);
    await refused({ type: "SOFTWARE" }, "type");
    await refused({ title: "other" }, "otaPackage title");
    await refused({ version: "2" }, "otaPackage version");
    await refused({ tag: null }, "otaPackage tag");
    await refused({ checksum: "00" }, "otaPackage content type");
    await refused({ url: "http://elsewhere" }, "otaPackage URL");
    const again = await save({ ...stored, additionalInfo: { note: 1 } });
    expect(again.value).toMatchObject({ additionalInfo: { note: 1 }, hasData: true, checksum: sha256 });
  });
});

describe("the bytes of a package", () => {
  it("R-OTA-01 are kept when they have the checksum, and nothing of them when not", async () => {
    const { world, packages, save, upload } = await setUp();
    const { id } = (await save()).value;
    await expect(upload(id, cut(file), "00")).rejects.toThrow("Wrong otaPackage file!");
    expect(world.pieces.size).toBe(0);
    expect((await packages.packages.get(id, call))?.value.hasData).toBe(false);
    const { value } = await upload(id, cut(file), sha256.toUpperCase());
    expect(value).toMatchObject({
      hasData: true,
      fileName: "app.bin",
      contentType: "application/octet-stream",
      checksumAlgorithm: "SHA256",
      checksum: sha256,
      dataSize: file.length,
    });
    expect(world.pieces.size).toBe(3);
  });

  it("read back as any slice, however they came", async () => {
    const { save, upload, read } = await setUp();
    const { id } = (await save()).value;
    await upload(id, cut(file, 7_777));
    for (const [from, to] of [
      [0, file.length],
      [0, 1],
      [pieceBytes - 1, pieceBytes + 1],
      [10, 2 * pieceBytes + 10],
      [file.length - 1, file.length + 100],
    ] as const) {
      expect((await read(id, from, to)).equals(file.subarray(from, to))).toBe(true);
    }
    for (const [from, to] of [
      [file.length, file.length + 10],
      [5, 5],
    ] as const) {
      expect((await read(id, from, to)).length).toBe(0);
    }
  });

  it("are read once for a fleet, and again when there was no room for them", async () => {
    const { world, save, upload, read } = await setUp({ cache: 2 * pieceBytes });
    const { id } = (await save()).value;
    await upload(id);
    await Promise.all(Array.from({ length: 50 }, (_, at) => read(id, at * 10, at * 10 + 10)));
    expect(world.reads).toHaveLength(1);
    await read(id, 0, file.length);
    expect(world.reads).toHaveLength(3);
    await read(id, 0, 1);
    expect(world.reads).toHaveLength(4);
  });

  it("come in once", async () => {
    const { world, save, upload, read } = await setUp();
    const { id } = (await save()).value;
    const outcomes = await Promise.allSettled([upload(id), upload(id)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(world.pieces.size).toBe(3);
    await expect(upload(id)).rejects.toThrow("Updating otaPackage content type is prohibited!");
    expect((await read(id, 0, file.length)).equals(file)).toBe(true);
  });

  it("are refused where they lie elsewhere, where there are none, and of another tenant's package", async () => {
    const { save, upload, packages, read } = await setUp();
    const elsewhere = (await save({ url: " http://files/app " })).value;
    expect(elsewhere.url).toBe("http://files/app");
    await expect(upload(elsewhere.id)).rejects.toThrow("File can't be saved if URL present!");
    await expect(read(elsewhere.id, 0, 1)).rejects.toMatchObject({ code: "ota.no-data", kind: "missing" });
    const { id } = (await save({ version: "2" })).value;
    await expect(upload(id, cut(Buffer.alloc(0)))).rejects.toThrow("OtaPackage data should be specified!");
    await expect(upload("nobody's")).rejects.toMatchObject({ kind: "missing" });
    await expect(packages.remove({ tenantId: "other", packageId: id }, call)).rejects.toMatchObject({
      kind: "missing",
    });
  });

  it("have a bound of their own and one of the tenant", async () => {
    const { world, save, upload } = await setUp({ maxPackage: file.length });
    const { id } = (await save()).value;
    await expect(upload(id, cut(Buffer.concat([file, Buffer.alloc(1)])))).rejects.toMatchObject({
      code: "ota.too-large",
      data: { status: 413 },
    });
    await world.limit(file.length + 1);
    await upload(id);
    const second = (await save({ version: "2" })).value.id;
    await expect(upload(second)).rejects.toThrow(`total size exceeds the maximum of ${file.length + 1} bytes`);
    await upload(second, cut(Buffer.alloc(1)));
    expect(world.pieces.size).toBe(4);
  });

  it("go within the time, and leave nothing when they do not", async () => {
    const { world, save, upload } = await setUp({ uploadTime: 1_000 });
    const { id } = (await save()).value;
    let stalled = false;
    async function* stalling() {
      yield file;
      stalled = true;
      await new Promise(() => {});
    }
    const uploading = upload(id, stalling());
    await vi.waitFor(() => expect(stalled).toBe(true));
    world.pass(1_000);
    await expect(uploading).rejects.toMatchObject({ code: "ota.upload-time" });
    expect(world.pieces.size).toBe(0);
  });

  it("leave nothing when the connection breaks, or the store does", async () => {
    const { world, packages, save, upload } = await setUp();
    const { id } = (await save()).value;
    const long = Buffer.concat([file, file, file, file]);
    async function* breaking() {
      yield long;
      throw new Error("the client has gone");
    }
    await expect(upload(id, breaking())).rejects.toThrow("the client has gone");
    expect(world.pieces.size).toBe(0);
    world.fails = new Error("disk full");
    await expect(upload(id)).rejects.toThrow("disk full");
    world.fails = undefined;
    expect((await packages.packages.get(id, call))?.value.hasData).toBe(false);
    await upload(id);
  });

  it("of an upload whose node died are found and dropped by another, and no others", async () => {
    const { world, packages, save, upload } = await setUp({ uploadTime: 60_000 });
    await packages.start();
    const { id } = (await save()).value;
    await upload(id);
    const dead = (await save({ version: "2" })).value.id;
    async function* forEver() {
      yield Buffer.concat([file, file, file, file]);
      await new Promise(() => {});
    }
    // A node that dies does not even notice.
    void upload(dead, forEver()).catch(() => undefined);
    await vi.waitFor(() => expect(world.pieces.size).toBe(3 + 8));
    const survivor = new StoredPackages(world.deps, { maxPackage: 10_000_000, cache: 1_000, uploadTime: 60_000 });
    await packages[Symbol.asyncDispose]();
    await survivor.start();
    for (let minutes = 0; minutes < 30; minutes++) {
      world.now += 60_000;
      world.pass(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(world.pieces.size).toBe(3));
    expect((await survivor.read(id, { from: 0, to: file.length }, call)).equals(file)).toBe(true);
    await survivor[Symbol.asyncDispose]();
  });

  it("take a few pieces of memory, however long the file is", async () => {
    const { world, save, upload } = await setUp({ maxPackage: 1e9 });
    const { id } = (await save()).value;
    let ahead = 0;
    const block = Buffer.alloc(pieceBytes);
    async function* long() {
      for (let sent = 1; sent <= 100; sent++) {
        yield block;
        ahead = Math.max(ahead, sent - world.pieces.size);
      }
    }
    expect((await upload(id, long())).value.dataSize).toBe(100 * pieceBytes);
    expect(ahead).toBeLessThanOrEqual(8);
  });
});

describe("removing a package", () => {
  it("is refused while a profile or a device has it", async () => {
    const { world, packages, save, upload } = await setUp();
    const remove = (packageId: string) => packages.remove({ tenantId, packageId }, call);
    const { id } = (await save()).value;
    await upload(id);
    const profileId = await world.profile({ firmwareId: id });
    await expect(remove(id)).rejects.toThrow("The otaPackage referenced by the device profile cannot be deleted!");
    await world.profile({ id: profileId });
    const deviceId = await world.device({ firmwareId: id });
    await expect(remove(id)).rejects.toThrow("The otaPackage referenced by the devices cannot be deleted!");
    await world.device({ id: deviceId });
    await remove(id);
    expect(world.pieces.size).toBe(0);
    expect(await packages.packages.get(id, call)).toBeUndefined();
    await expect(packages.read(id, { from: 0, to: 1 }, call)).rejects.toMatchObject({ code: "ota.no-data" });
  });

  it("sees the devices of its profile", async () => {
    const { world, packages, save } = await setUp();
    const deviceProfileId = await world.profile();
    const { id } = (await save({ type: "SOFTWARE", deviceProfileId, url: "u" })).value;
    await world.device({ softwareId: id, deviceProfileId });
    await expect(packages.remove({ tenantId, packageId: id }, call)).rejects.toThrow(
      "The software referenced by the devices cannot be deleted!",
    );
  });

  it("takes the bytes of a deleted tenant", async () => {
    const { world, packages, save, upload } = await setUp();
    for (const version of ["1", "2"]) await upload((await save({ version })).value.id);
    await packages.forgetTenant(tenantId, call);
    expect(world.pieces.size).toBe(0);
    expect((await packages.packages.find({ where: { tenantId }, limit: 1 }, call)).total).toBe(0);
  });
});

describe("what a device should run", () => {
  it("is its own package, else its profile's", async () => {
    const { world, packages, save } = await setUp();
    const own = (await save({ url: "u" })).value.id;
    const shared = (await save({ url: "u", version: "2" })).value.id;
    const deviceProfileId = await world.profile({ firmwareId: shared });
    const both = await world.device({ deviceProfileId, firmwareId: own });
    const one = await world.device({ deviceProfileId });
    const title = async (id: string, type: "FIRMWARE" | "SOFTWARE" = "FIRMWARE") =>
      (await packages.assigned(id, type, call))?.version;
    expect([await title(both), await title(one), await title(one, "SOFTWARE"), await title("nobody")]).toEqual([
      "1",
      "2",
      undefined,
      undefined,
    ]);
  });
});
