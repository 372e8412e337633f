import { createHash } from "node:crypto";
import {
  type ApiKey,
  type ApiKeys,
  batchesOf,
  type CallOptions,
  type Collection,
  change,
  type EntityStore,
  type Page,
  type Query,
  requireText,
  type World,
} from "@heddle/plugin-sdk";
import { type ApiKeyDocument, apiKeyCollection } from "./credentials.ts";
import { missing } from "./faults.ts";
import { drawText } from "./passwords.ts";

const prefix = "tb_";
const valueLength = 64;

/** API keys (rest-semantics 2.14): only a hash of the value is stored. */
export class StoredApiKeys implements ApiKeys {
  readonly #world: World;
  readonly #keys: Collection<ApiKeyDocument>;

  constructor({ world, entities }: { readonly world: World; readonly entities: EntityStore }) {
    this.#world = world;
    this.#keys = entities.collection(apiKeyCollection);
  }

  async create(
    draft: Pick<ApiKey, "tenantId" | "userId" | "description" | "enabled" | "expirationTime">,
    call: CallOptions,
  ): Promise<{ readonly key: ApiKey; readonly value: string }> {
    const value = prefix + drawText(valueLength);
    const document = { ...draft, id: this.#world.uuid(), createdTime: this.#world.now(), hash: hashOf(value) };
    requireText("description", draft.description);
    await this.#keys.put([{ value: document, expect: "absent" }], call);
    return { key: shown(document), value };
  }

  async get(id: string, call: CallOptions): Promise<ApiKey | undefined> {
    const [found] = await this.#keys.get([id], call);
    return found === undefined ? undefined : shown(found.value);
  }

  async ofUser(userId: string, query: Omit<Query, "where">, call: CallOptions): Promise<Page<ApiKey>> {
    const { items, total } = await this.#keys.find({ ...query, where: { userId } }, call);
    return { items: items.map(({ value, version }) => ({ value: shown(value), version })), total };
  }

  async change(
    id: string,
    to: { readonly description?: string; readonly enabled?: boolean },
    call: CallOptions,
  ): Promise<ApiKey> {
    const changed = await change(this.#keys, { id, kind: "Api key", to: ({ value }) => ({ ...value, ...to }) }, call);
    if (changed === undefined) throw missing("Api key", id);
    return shown(changed.after.value);
  }

  async remove(id: string, call: CallOptions): Promise<void> {
    if ((await this.#keys.remove([id], call)) === 0) throw missing("Api key", id);
  }

  async byValue(value: string, call: CallOptions): Promise<ApiKey | undefined> {
    return (await this.#keys.find({ where: { hash: hashOf(value) }, limit: 1 }, call)).items[0]?.value;
  }

  async forget(userIds: readonly string[], call: CallOptions): Promise<void> {
    for await (const batch of batchesOf(this.#keys, { userId: { in: userIds } }, call)) {
      await this.#keys.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }
}

function hashOf(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}

function shown({ hash: _, ...key }: ApiKeyDocument): ApiKey {
  return key;
}
