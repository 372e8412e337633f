import { randomUUID } from "node:crypto";
import type { Membership, View } from "@heddle/plugin-sdk";
import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { loadNative, type NativeClient } from "../../plugins/coordinator-zookeeper/src/native.ts";
import {
  type CoordinatorOptions,
  ZookeeperCoordinator,
} from "../../plugins/coordinator-zookeeper/src/zookeeper-coordinator.ts";
import type { Service } from "./service.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export const sessionMs = 3_000;
export const leaseMs = (sessionMs * 2) / 3;

export const within = (ms = 20_000) => ({ signal: AbortSignal.timeout(ms) });
export const node = (id: string) => ({
  id,
  address: `${id}:7400`,
  roles: ["owner"],
  weight: 1,
  wire: 1,
  partitions: 16,
});

/** A cluster of its own in the ensemble; its folder goes with it. */
export class Bench implements AsyncDisposable {
  readonly chroot = `/test-${randomUUID()}`;
  readonly service: Service;
  readonly #proxies: TcpProxy[] = [];

  constructor(service: Service) {
    this.service = service;
  }

  coordinator(options: Partial<CoordinatorOptions> = {}): ZookeeperCoordinator {
    return new ZookeeperCoordinator({
      world: realWorld(Math.floor(Math.random() * 2 ** 31)),
      log: silentLog,
      meter: { state() {}, reconnect() {}, heartbeat() {} },
      servers: this.service.where,
      chroot: this.chroot,
      sessionTimeoutMs: sessionMs,
      login: undefined,
      ...options,
    });
  }

  /** A coordinator whose every connection can be cut. */
  async proxied(options: Partial<CoordinatorOptions> = {}) {
    const proxies = await Promise.all(this.service.endpoints.map((endpoint) => TcpProxy.open(endpoint)));
    this.#proxies.push(...proxies);
    const servers = proxies.map(({ address }) => address).join(",");
    const each = (act: (proxy: TcpProxy) => void) => () => proxies.forEach(act);
    return {
      coordinator: this.coordinator({ servers, ...options }),
      cut: each((proxy) => proxy.cut()),
      stall: each((proxy) => proxy.stall()),
      heal: each((proxy) => proxy.heal()),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.service.where, this.chroot);
    for (const proxy of this.#proxies) await proxy[Symbol.asyncDispose]();
  }
}

/** The first view that passes. */
export async function until(membership: Membership, wanted: (view: View) => boolean, ms = 20_000): Promise<View> {
  for await (const view of membership.views(within(ms).signal)) if (wanted(view)) return view;
  throw new Error("the views ended before the one that was awaited");
}

export const ids = (view: View) => view.members.map(({ id }) => id).join();
export const incarnations = (view: View) =>
  view.members
    .map(({ incarnation }) => incarnation)
    .sort()
    .join();

/** A bare client, as somebody else would use it. */
export async function withClient<T>(servers: string, use: (client: NativeClient) => Promise<T>): Promise<T> {
  const client = loadNative()();
  const connected = new Promise((resolve) => client.on("connect", resolve));
  client.init({ connect: servers, timeout: 10_000, host_order_deterministic: false });
  await connected;
  try {
    return await use(client);
  } finally {
    await new Promise((resolve) => setImmediate(resolve));
    client.close();
  }
}

async function removeTree(servers: string, root: string): Promise<void> {
  await withClient(servers, async (client) => {
    client.add_auth("digest", "heddle:secret", () => {});
    const remove = async (path: string): Promise<void> => {
      const names = await new Promise<readonly string[]>((resolve) => {
        client.a_get_children2(path, false, (_code, _text, found) => resolve(found ?? []));
      });
      for (const name of names) await remove(`${path}/${name}`);
      await new Promise<void>((resolve) => void client.a_delete_(path, -1, () => resolve()));
    };
    await remove(root);
  });
}
