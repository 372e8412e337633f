import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CassandraSession } from "@heddle/cassandra-driver";
import { freshKeyspace, quietParts, testConfig } from "@heddle/cassandra-driver/testing";
import { Secret } from "@heddle/plugin-sdk";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { schema } from "../../plugins/store-cassandra/src/tables.ts";
import { Service, sharedService } from "./service.ts";

const call = { signal: new AbortController().signal };

// The shared node knows no passwords: this one is started beside it, and only where that one runs.
describeNeeding("cassandra", sharedService("cassandra")?.where, () => {
  let service: Service;
  beforeAll(async () => {
    const dir = await mkdtemp(join(tmpdir(), "heddle-cassandra-"));
    service = new Service({ name: "cassandra", port: 22_900, nodes: 1 }, dir);
    process.env["AUTH"] = "1";
    try {
      await service.start();
    } finally {
      delete process.env["AUTH"];
    }
  });
  afterAll(async () => {
    await service.stop();
    await rm(service.dir, { recursive: true });
  });
  const session = (password: string) =>
    new CassandraSession(
      { ...testConfig(service.where, freshKeyspace("denied")), user: "cassandra", password: new Secret(password) },
      quietParts(),
      schema,
    );

  it("a wrong password ends the start at once with store.denied, and is not repeated in the message", async () => {
    const trouble = await session("not-the-password")
      .start(call.signal)
      .catch((error: Error) => error);
    expect(trouble).toMatchObject({ code: "store.denied", kind: "denied" });
    expect((trouble as Error).message).not.toContain("not-the-password");
  });

  it("the right one gets in", async () => {
    const own = session("cassandra");
    await expect.poll(() => own.start(call.signal).then(() => "in", String), { timeout: 30_000 }).toBe("in");
    await own.stop();
  });
});
