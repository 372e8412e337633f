import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configOf } from "@heddle/plugin-sdk/testing";
import { afterEach, describe, expect, it } from "vitest";
import { loopback, makeLink, secret } from "../testing/room.ts";
import { addressOf, advertisedHost, parseAddress } from "./address.ts";
import card from "./index.ts";
import { bindingOf, type Settings } from "./settings.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function started(given: Readonly<Record<string, unknown>>) {
  const { link } = makeLink(given);
  open.push(() => link[Symbol.asyncDispose]());
  return { link, listen: () => link.listen(() => {}), start: link.start() };
}

describe("where it listens", () => {
  it.each([{ host: "0.0.0.0" }, { host: "::" }, { host: "10.0.0.1" }])(
    "refuses %o without tls and secret",
    async (given) => {
      await expect(started(given).start).rejects.toMatchObject({ code: "peer.unprotected" });
    },
  );

  it.each(["127.0.0.1", "localhost", "::1"])("takes %s without tls and secret", async (host) => {
    await expect(started({ host }).start).resolves.toBeUndefined();
  });

  it.each([{}, { secret: "" }])("meets peers of this machine only with %o", (given) => {
    expect(bindingOf(configOf(card, given) as unknown as Settings)).toEqual({ host: "127.0.0.1", port: 7400 });
  });

  it("refuses socketPath with tls or host", async () => {
    const tls = { cert: "x", key: "y", ca: "z" };
    await expect(started({ socketPath: "/tmp/x", tls }).start).rejects.toMatchObject({ code: "peer.config" });
    await expect(started({ socketPath: "/tmp/x", host: "127.0.0.1" }).start).rejects.toMatchObject({
      code: "peer.config",
    });
  });

  it("names a port in use, and publishes an outer address, or what it is told to", async () => {
    const first = await started({ port: 0, secret }).listen();
    const at = parseAddress(first) as { host: string; port: number };
    expect(at.host).toBe(advertisedHost("0.0.0.0"));
    const again = started({ port: at.port, secret });
    await expect(again.listen()).rejects.toMatchObject({
      code: "peer.listen",
      message: expect.stringContaining(`${at.port}`),
    });
    expect(await started({ port: 0, secret, advertise: "node-7.cluster" }).listen()).toMatch(/^node-7\.cluster:\d+$/);
  });
});

it("an unusable certificate is named, and no key is repeated", async () => {
  const tls = { cert: "/nowhere/cert.pem", key: "MIIEvQ lost its first line", ca: "/nowhere/ca.pem" };
  await expect(started({ ...loopback, tls }).start).rejects.toMatchObject({ code: "peer.tls" });
  const pem = (what: string) => `-----BEGIN ${what}-----\nbm90IGl0\n-----END ${what}-----\n`;
  const bad = { cert: pem("CERTIFICATE"), key: pem("PRIVATE KEY"), ca: pem("CERTIFICATE") };
  const failure = await started({ ...loopback, tls: bad }).start.catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "peer.tls" });
  expect(String(failure)).not.toContain("bm90");
});

describe("a Unix socket", () => {
  it("is closed to other users, and the file of a killed process is no hindrance, that of a live one is", async () => {
    const folder = await mkdtemp(join(tmpdir(), "peer-"));
    open.push(() => rm(folder, { recursive: true }));
    const socketPath = join(folder, "peer");
    // A process that dies without closing leaves its file behind.
    const code = "const s = require('net').createServer().listen(process.env.AT, () => process.abort())";
    spawnSync(process.execPath, ["-e", code], { env: { AT: socketPath } });
    expect((await stat(socketPath)).isSocket()).toBe(true);
    expect(await started({ socketPath }).listen()).toBe(`unix:${socketPath}`);
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    await expect(started({ socketPath }).listen()).rejects.toMatchObject({ code: "peer.listen" });
  });
});

describe("addresses", () => {
  it.each(["10.0.0.1:7400", "node-1.cluster:1", "[fe80::1]:65535"])("reads %s", (address) => {
    const { host, port } = parseAddress(address) as { host: string; port: number };
    expect(addressOf(host, port)).toBe(address);
  });

  it.each(["", "host", "host:0", "host:65536", "host:x", ":7400", "unix:relative", "a b:1"])(
    "refuses %o",
    (address) => {
      expect(() => parseAddress(address)).toThrow(expect.objectContaining({ code: "peer.unreachable" }));
    },
  );
});
