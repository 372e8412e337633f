import { deviceCollection, deviceCredentialsCollection, deviceProfileCollection } from "@heddle/plugin-sdk";
import { MemoryEntityStore } from "@heddle/plugin-sdk/testing";
import { expect, it } from "vitest";
import { Identities } from "./identities.ts";

const call = { signal: new AbortController().signal };
const put = (value: object) => [{ value: value as never, expect: "any" }] as const;

it("devices of a profile share its settings, until it changes: what hangs on them is made once", async () => {
  const store = new MemoryEntityStore();
  const saveProfile = (schema: string) =>
    store
      .collection(deviceProfileCollection)
      .put(put({ id: "p", transportType: "MQTT", profileData: { transportConfiguration: { schema } } }), call);
  await saveProfile("one");
  const ids = Array.from({ length: 50 }, (_, i) => `device-${i}`);
  for (const id of ids) {
    await store.collection(deviceCollection).put(put({ id, name: id, deviceProfileId: "p" }), call);
    const credentials = { id, deviceId: id, credentialsType: "ACCESS_TOKEN", credentialsId: `token of ${id}` };
    await store.collection(deviceCredentialsCollection).put(put(credentials), call);
  }
  const identities = new Identities(store);
  const settings = async () => {
    const signedIn = await Promise.all(
      ids.map((id) => identities.authenticate({ kind: "token", token: `token of ${id}` }, call)),
    );
    const byId = await Promise.all(ids.map((id) => identities.byDevice(id, call)));
    return new Set([...signedIn, ...byId].map((identity) => identity?.transport));
  };
  expect([...(await settings())]).toEqual([{ schema: "one" }]);
  await saveProfile("two");
  for (const id of ids) identities.forget(id);
  expect([...(await settings())]).toEqual([{ schema: "two" }]);
});
