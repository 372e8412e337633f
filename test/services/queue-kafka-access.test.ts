import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Log } from "@heddle/plugin-sdk";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { KafkaRoom } from "./queue-kafka-setup.ts";
import { sharedService } from "./service.ts";

const run = promisify(execFile);
const script = join(import.meta.dirname, "kafka.sh");
const port = 22_900;
const where = `127.0.0.1:${port}`;
const password = "only-for-tests";
const soon = (ms = 20_000) => ({ signal: AbortSignal.timeout(ms) });

/** A log that keeps its lines. */
function keptLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const say = (level: string) => (message: string, fields?: object) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  };
  const log: Log = { child: () => log, debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  return { log, lines };
}

// Needs what the shared service needs; it is not touched.
describeNeeding("kafka", sharedService("kafka")?.where, () => {
  let dir = "";
  let ca = "";

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "queue-kafka-"));
    await run("bash", [script, "start", dir, String(port)], { env: { ...process.env, SASL: "1", NODES: "1" } });
    ca = join(dir, "ca.pem");
  });

  afterAll(async () => {
    await run("bash", [script, "stop", dir]);
    await rm(dir, { recursive: true, force: true });
  });

  const room = (sasl: object, tls: object | undefined, kept = keptLog()) => {
    const config = { replication: 1, sasl, connectTimeout: "2s", ackTimeout: "4s", ...(tls && { tls }) };
    return { room: new KafkaRoom(where, config, kept.log), lines: kept.lines };
  };
  const user = (mechanism: string, secret = password) => ({ mechanism, username: "heddle", password: secret });

  it.each(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])(
    "TLS and %s: records pass, no secret is told",
    async (mechanism) => {
      const { room: own, lines } = room(user(mechanism), { ca: mechanism === "PLAIN" ? ca : readFileSync(ca, "utf8") });
      await using queue = await own.started();
      await queue.ensure([{ name: "jobs", partitions: 2, retainMs: 60_000 }], soon());
      await queue.send("jobs", [{ partition: 1, key: "k", body: Buffer.from("in") }], soon());
      await using reader = queue.reader({ topic: "jobs", group: "a", partition: 1 });
      const batch = await reader.read(1, soon());
      expect(batch.records.map(({ body }) => Buffer.from(body).toString())).toEqual(["in"]);
      await batch.settle(1, soon());
      expect(lines.join("\n")).not.toContain(password);
    },
  );

  it.each(["PLAIN", "SCRAM-SHA-512"])("a wrong password with %s is refused at once", async (mechanism) => {
    const { room: own, lines } = room(user(mechanism, "wrong-one"), { ca });
    const began = performance.now();
    await expect(own.queue().start(soon().signal)).rejects.toMatchObject({ code: "queue.denied", kind: "denied" });
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(lines.join("\n")).not.toContain("wrong-one");
  });

  it("brokers of another authority are refused at once", async () => {
    const { room: own } = room(user("PLAIN"), {});
    const began = performance.now();
    await expect(own.queue().start(soon().signal)).rejects.toMatchObject({ code: "queue.tls" });
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  it("a CA file that is not there is named", async () => {
    const { room: own } = room(user("PLAIN"), { ca: join(dir, "nowhere.pem") });
    await expect(own.queue().start(soon().signal)).rejects.toMatchObject({ code: "queue.tls" });
  });

  it("replication beyond the brokers is named", async () => {
    const own = new KafkaRoom(where, { replication: 3, sasl: user("PLAIN"), tls: { ca } });
    await using queue = await own.started();
    const making = queue.ensure([{ name: "jobs", partitions: 1, retainMs: 60_000 }], soon());
    await expect(making).rejects.toMatchObject({ code: "queue.replication" });
  });

  it("nobody there: start waits, says so once, and ends with its signal", async () => {
    const kept = keptLog();
    const own = new KafkaRoom("127.0.0.1:22990", { connectTimeout: "500ms" }, kept.log);
    const stop = new AbortController();
    const queue = own.queue();
    const starting = queue.start(stop.signal);
    setTimeout(() => stop.abort(new Error("enough")), 3_000);
    await expect(starting).rejects.toThrow("enough");
    expect(kept.lines.filter((line) => line.startsWith("warn kafka trouble"))).toHaveLength(1);
    expect(kept.lines.join("\n")).toContain("127.0.0.1:22990");
    expect(queue.health().state).toBe("down");
  });
});
