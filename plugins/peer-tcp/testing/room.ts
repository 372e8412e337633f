import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Log, Plugin } from "@heddle/plugin-sdk";
import { configOf, realWorld, silentLog, type TestedPeers } from "@heddle/plugin-sdk/testing";
import { parseAddress } from "../src/address.ts";
import card from "../src/index.ts";
import { meterOf } from "../src/meter.ts";
import type { Settings } from "../src/settings.ts";
import { TcpPeerLink } from "../src/tcp-peer-link.ts";

export const secret = "a secret that only the tests know";

export interface Line {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A link as the host would make it, with what it logs and counts. */
export function makeLink(given: Readonly<Record<string, unknown>>) {
  const lines: Line[] = [];
  const keep = (message: string, fields = {}) => void lines.push({ message, fields });
  const log: Log = { ...silentLog, info: keep, warn: keep, error: keep };
  const figures = new Map<string, number>();
  const metric = (name: string) => ({
    record: (value: number, labels?: Readonly<Record<string, string>>) => {
      const key = [name, ...Object.values(labels ?? {})].join(" ");
      const grows = (card as Plugin).metrics?.[name]?.kind === "counter";
      figures.set(key, value + (grows ? (figures.get(key) ?? 0) : 0));
    },
  });
  const metrics = Object.fromEntries(Object.keys(card.metrics ?? {}).map((name) => [name, metric(name)]));
  const settings = configOf(card, given) as unknown as Settings;
  const meter = meterOf(metrics as Parameters<typeof meterOf>[0]);
  const link = new TcpPeerLink({ world: realWorld(), log, settings, meter });
  return { link, lines, figures };
}

export const loopback = { host: "127.0.0.1", port: 0, secret };

/** Links of one room; a name keeps its port. */
export function room(given: Readonly<Record<string, unknown>>): TestedPeers {
  const ports = new Map<string, number>();
  const dispose: AsyncDisposable[] = [];
  return {
    unreachable: "127.0.0.1:1",
    link: async (name) => {
      const { link } = makeLink({ ...loopback, ...given, port: ports.get(name) ?? 0 });
      dispose.push(link);
      return Object.assign(Object.create(link), {
        listen: async (...args: Parameters<TcpPeerLink["listen"]>) => {
          const address = await link.listen(...args);
          const endpoint = parseAddress(address);
          if ("port" in endpoint) ports.set(name, endpoint.port);
          return address;
        },
        send: link.send.bind(link),
        [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
      }) as TcpPeerLink;
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of dispose) await one[Symbol.asyncDispose]();
    },
  };
}

/** Links on Unix sockets in a folder of their own. */
export async function socketRoom(given: Readonly<Record<string, unknown>>): Promise<TestedPeers> {
  const folder = await mkdtemp(join(tmpdir(), "peer-"));
  const links: AsyncDisposable[] = [];
  return {
    unreachable: `unix:${join(folder, "nobody")}`,
    link: async (name) => {
      const { link } = makeLink({ socketPath: join(folder, name), ...given });
      links.push(link);
      return link;
    },
    [Symbol.asyncDispose]: async () => {
      for (const link of links) await link[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

export const opensslPath = ["/usr/bin/openssl", "/usr/local/bin/openssl", "/opt/homebrew/bin/openssl"].find(existsSync);
const run = promisify(execFile);
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

/** A CA of its own in the folder, and a way to make certificates of it. */
export async function authority(openssl: string, folder: string, name: string) {
  const file = (of: string) => join(folder, `${name}-${of}`);
  await run(openssl, [
    "req",
    "-x509",
    ...newKey,
    "-subj",
    `/CN=${name}`,
    "-keyout",
    file("ca.key"),
    "-out",
    file("ca.pem"),
  ]);
  return async (member: string) => {
    const [key, cert, request] = [file(`${member}.key`), file(`${member}.pem`), file(`${member}.csr`)];
    await run(openssl, ["req", ...newKey, "-subj", `/CN=${member}`, "-keyout", key, "-out", request]);
    const signed = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2"];
    await run(openssl, ["x509", "-req", "-in", request, ...signed, "-out", cert]);
    return { cert, key, ca: file("ca.pem") };
  };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
