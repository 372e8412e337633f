import type { View } from "@heddle/plugin-sdk";
import { silentLog, steppedWorld } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Handle } from "./handle.ts";
import { encodeRecord } from "./member-record.ts";
import { MemberWatch } from "./member-watch.ts";
import type { Session } from "./session.ts";

/** A folder of members as a server has it; the test changes it between two requests. */
class Folder {
  readonly nodes = new Map<string, { readonly czxid: number; readonly data: Buffer }>();
  cversion = 0;
  zxid = 0;
  /** Run once, after the next list has been handed out. */
  afterList: () => void = () => {};

  put(id: string, incarnation: string): void {
    const member = { id, incarnation, address: "", roles: [], weight: 1, wire: 1, partitions: 16, drained: 0 };
    this.#count();
    this.nodes.set(id, { czxid: this.zxid, data: encodeRecord({ member, sessionMs: 1 }) });
  }

  remove(id: string): void {
    this.#count();
    this.nodes.delete(id);
  }

  #count(): void {
    this.cversion += 1;
    this.zxid += 1;
  }

  readonly handle = {
    children: async () => {
      const stat = { pzxid: this.zxid, cversion: this.cversion, ctime: new Date(0) };
      const names = [...this.nodes.keys()];
      const { afterList } = this;
      this.afterList = () => {};
      afterList();
      return { names, stat };
    },
    get: async (path: string) => {
      const node = this.nodes.get(path.slice("/m/".length));
      if (node === undefined) throw new Error(`${path} is not there`);
      return { data: node.data, stat: { czxid: node.czxid } };
    },
  };
}

const world = steppedWorld();
let folder: Folder;
let views: string[];
let watch: MemberWatch;
let stop: AbortController;

beforeEach(() => {
  folder = new Folder();
  views = [];
  stop = new AbortController();
  const run = (_: AbortSignal, request: (handle: Handle) => unknown) => request(folder.handle as unknown as Handle);
  const publish = ({ epoch, members }: View) =>
    void views.push(`${epoch} ${members.map(({ incarnation }) => incarnation).join()}`);
  watch = new MemberWatch({ world, log: silentLog, session: { run } as unknown as Session, path: "/m", publish });
});
afterEach(() => stop.abort());

const follow = async () => {
  watch.follow(stop.signal).catch(() => {});
  await world.pass(100);
};

it("a member that came back between the list and its record is not shown under the old epoch", async () => {
  folder.put("a", "a1");
  folder.afterList = () => {
    folder.remove("a");
    folder.put("a", "a2");
  };
  await follow();
  expect(views).toEqual(["3 a2"]);
});

it("a member that came back between two lists is read again", async () => {
  folder.put("a", "a1");
  await follow();
  folder.remove("a");
  folder.put("a", "a2");
  watch.touch("/m/a");
  watch.touch("/m");
  await world.pass(100);
  expect(views).toEqual(["1 a1", "3 a2"]);
});

it("after a reconnect everything is read again, and what has not changed is no view", async () => {
  folder.put("a", "a1");
  await follow();
  watch.touch(undefined);
  await world.pass(100);
  expect(views).toEqual(["1 a1"]);
  folder.remove("a");
  folder.put("a", "a2");
  watch.touch(undefined);
  await world.pass(100);
  expect(views).toEqual(["1 a1", "3 a2"]);
});
