import { createHash, randomBytes } from "node:crypto";
import { CassandraSession } from "@heddle/cassandra-driver";
import { dropKeyspaces, freshKeyspace, quietParts, testConfig } from "@heddle/cassandra-driver/testing";
import type { Lanes } from "@heddle/plugin-sdk";
import { describeNeeding, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { StoredPackages } from "../../plugins/ota/src/stored-packages.ts";
import { CassandraEntities } from "../../plugins/store-cassandra/src/cassandra-entities.ts";
import { schema } from "../../plugins/store-cassandra/src/tables.ts";
import { sharedService } from "./service.ts";

const call = { signal: new AbortController().signal };
const tenantId = "1da6ae90-9d58-11ef-b1c2-0242ac120002";

describeNeeding("cassandra", sharedService("cassandra")?.where, (where) => {
  const keyspace = freshKeyspace("ota");
  let session: CassandraSession;
  beforeAll(async () => {
    session = new CassandraSession(testConfig(where, keyspace), quietParts(), schema);
    await session.start(call.signal);
  });
  afterAll(async () => {
    await session.stop();
    await dropKeyspaces(where, [keyspace]);
  });

  it("R-OTA-01 the bytes of a package come in when they have the checksum, read back, and go with the package", async () => {
    const deps = {
      world: realWorld(),
      log: silentLog,
      lanes: { publish: async () => {} } as unknown as Lanes,
      entities: new CassandraEntities(session, 100_000),
    };
    const packages = new StoredPackages(deps, { maxPackage: 1e9, cache: 1e6, uploadTime: 60_000 });
    const file = randomBytes(5_000_000);
    const sha256 = createHash("sha256").update(file).digest("hex");
    const info = { type: "FIRMWARE" as const, title: "app", version: "1" };
    const { id: packageId } = (await packages.save({ tenantId, info }, call)).value;
    const upload = (checksum: string) =>
      packages.saveData(
        {
          tenantId,
          packageId,
          fileName: "f",
          contentType: "c",
          checksumAlgorithm: "SHA256",
          checksum,
          data: (async function* () {
            for (let at = 0; at < file.length; at += 64_000) yield file.subarray(at, at + 64_000);
          })(),
        },
        call,
      );
    await expect(upload("00")).rejects.toThrow("Wrong otaPackage file!");
    await upload(sha256);
    expect((await packages.read(packageId, { from: 0, to: file.length }, call)).equals(file)).toBe(true);
    await packages.remove({ tenantId, packageId }, call);
    await expect(packages.read(packageId, { from: 0, to: 1 }, call)).rejects.toMatchObject({ code: "ota.no-data" });
    await packages[Symbol.asyncDispose]();
  }, 60_000);
});
