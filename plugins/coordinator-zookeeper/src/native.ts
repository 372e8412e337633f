import { createRequire } from "node:module";
import { arch, platform, version } from "node:process";
import { fault } from "./faults.ts";

export interface NativeStat {
  readonly czxid: number;
  readonly pzxid: number;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  readonly ctime: Date;
}

export interface AclEntry {
  readonly perms: number;
  readonly scheme: string;
  readonly auth: string;
}

type Answer<T extends readonly unknown[]> = (code: number, text: string, ...values: T) => void;

/** What is used of the driver: its callbacks. Every request returns a code, and calls back only when that is 0. */
export interface NativeClient {
  readonly state: number;
  /** Negotiated, ms, once connected. */
  readonly timeout: number;
  readonly client_id: string;
  readonly client_password: string;
  on(event: string, run: (source: unknown, detail: string | number | undefined) => void): unknown;
  init(options: NativeOptions): unknown;
  close(): unknown;
  set_servers(servers: string): number;
  add_auth(scheme: string, auth: string, done: Answer<[]>): number;
  a_create(path: string, data: Buffer, flags: number, done: Answer<[path: string]>): number;
  a_delete_(path: string, version: number, done: Answer<[]>): number;
  a_exists(path: string, watch: boolean, done: Answer<[NativeStat | null]>): number;
  a_get(path: string, watch: boolean, done: Answer<[NativeStat | null, Buffer | null]>): number;
  a_get_children2(path: string, watch: boolean, done: Answer<[string[] | null, NativeStat | null]>): number;
  a_set(path: string, data: Buffer, version: number, done: Answer<[NativeStat | null]>): number;
  a_get_acl(path: string, done: Answer<[AclEntry[] | null, NativeStat | null]>): number;
  a_set_acl(path: string, version: number, acl: readonly AclEntry[], done: Answer<[]>): number;
  a_sync(path: string, done: Answer<[path: string]>): number;
}

export interface NativeOptions {
  /** Numbers only: the C client resolves names anew, and waits for it, at every event of its socket. */
  readonly connect: string;
  readonly timeout: number;
  readonly host_order_deterministic: boolean;
  readonly client_id?: string;
  readonly client_password?: string;
}

export type MakeClient = () => NativeClient;

const require = createRequire(import.meta.url);

/** Loads the driver and with it its native part; fault `coordinator.native` when that is not there. */
export function loadNative(): MakeClient {
  try {
    const Client = require("zookeeper") as new () => NativeClient;
    return () => new Client();
  } catch (error) {
    throw fault("coordinator.native", lack, error);
  }
}

/** For `heddle check`: what is missing and the commands that bring it. */
export function nativeLack(load: () => unknown = loadNative): readonly string[] {
  try {
    load();
    return [];
  } catch {
    return [[lack, ...remedy].join("\n")];
  }
}

const lack = `the native part of the package zookeeper is not built for Node ${version} on ${platform}-${arch}`;
const remedy = [
  "It is compiled here, once for each Node version; that takes gcc, g++, make, cmake, python3 and Node's header files:",
  "  apt-get install gcc g++ make cmake python3",
  `  export npm_config_nodedir="$(node -p 'path.resolve(process.execPath, "../..")')"    # the folder with include/node`,
  "  npm rebuild zookeeper --ignore-scripts=false --foreground-scripts",
];
