import {
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type EntityStore,
  invalid,
  isFault,
  putOne,
  type Settings,
  type SettingsOf,
  type UserSettings,
} from "@heddle/plugin-sdk";

interface SettingsDocument {
  /** `<user>/<type>`. */
  readonly id: string;
  readonly userId: string;
  readonly settings: Settings;
}
const settingsCollection: CollectionSpec<SettingsDocument> = { name: "user-settings", id: "id", indexes: [["userId"]] };

/** Characters of the settings of one type, as JSON. */
const longest = 256 * 1024;
/** Attempts against others who write the same settings. */
const mostAttempts = 10;

/** Settings of users, one document for each type. */
export class StoredUserSettings implements UserSettings {
  readonly #settings: Collection<SettingsDocument>;

  constructor(entities: EntityStore) {
    this.#settings = entities.collection(settingsCollection);
  }

  async get(of: SettingsOf, call: CallOptions): Promise<Settings> {
    return (await this.#settings.get([idOf(of)], call))[0]?.value.settings ?? {};
  }

  replace(of: SettingsOf, settings: Settings, call: CallOptions): Promise<void> {
    return this.#change(of, () => settings, call);
  }

  merge(of: SettingsOf, settings: Settings, call: CallOptions): Promise<void> {
    const changes = Object.entries(settings);
    return this.#change(
      of,
      (before) => changes.reduce((now, [path, value]) => set(now, path.split("."), value), before),
      call,
    );
  }

  remove(of: SettingsOf, paths: readonly string[], call: CallOptions): Promise<void> {
    return this.#change(of, (before) => paths.reduce((now, path) => without(now, path.split(".")), before), call);
  }

  async #change(of: SettingsOf, to: (before: Settings) => Settings, call: CallOptions): Promise<void> {
    const id = idOf(of);
    for (let attempt = 1; ; attempt++) {
      const [before] = await this.#settings.get([id], call);
      const settings = to(before?.value.settings ?? {});
      if (JSON.stringify(settings).length > longest) throw invalid(`Settings have more than ${longest} characters`);
      const value = { id, userId: of.userId, settings };
      try {
        await putOne(this.#settings, { value, expect: before?.version ?? "absent" }, call);
        return;
      } catch (error) {
        if (!isFault(error) || error.kind !== "conflict" || attempt === mostAttempts) throw error;
      }
    }
  }

  /** Of deleted users. */
  async forget(userIds: readonly string[], call: CallOptions): Promise<void> {
    for (const userId of userIds) {
      const { items } = await this.#settings.find({ where: { userId }, limit: 100 }, call);
      await this.#settings.remove(
        items.map(({ value }) => value.id),
        call,
      );
    }
  }
}

const idOf = ({ userId, type }: SettingsOf): string => `${userId}/${type}`;

const isObject = (value: unknown): value is Settings =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function set(into: Settings, [name = "", ...rest]: readonly string[], value: unknown): Settings {
  const before = into[name];
  if (rest.length > 0) return { ...into, [name]: set(isObject(before) ? before : {}, rest, value) };
  if (!isObject(before) || !isObject(value)) return { ...into, [name]: value };
  return { ...into, [name]: Object.entries(value).reduce((now, [key, one]) => set(now, [key], one), before) };
}

function without(from: Settings, [name = "", ...rest]: readonly string[]): Settings {
  const { [name]: before, ...others } = from;
  if (rest.length === 0 || !isObject(before)) return rest.length === 0 ? others : from;
  return { ...others, [name]: without(before, rest) };
}
