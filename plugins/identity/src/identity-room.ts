import {
  type Actors,
  type Cluster,
  type EntityStore,
  Fault,
  type Lanes,
  type LaunchOptions,
  type Log,
  type ReadyNotes,
  type World,
} from "@heddle/plugin-sdk";
import { UserAccounts } from "./accounts.ts";
import { StoredApiKeys } from "./api-keys.ts";
import { StoredDirectory } from "./directory.ts";
import { ensureAdministrator, signingKey } from "./first-start.ts";
import { SignIns } from "./sign-ins.ts";
import { Tokens } from "./tokens.ts";
import { StoredUserSettings } from "./user-settings.ts";

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly cluster: Cluster;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly launch: LaunchOptions;
  readonly notes: ReadyNotes;
}

/** The parts of this plugin, wired to each other. */
export class IdentityRoom {
  readonly accounts: UserAccounts;
  readonly apiKeys: StoredApiKeys;
  readonly directory: StoredDirectory;
  readonly settings: StoredUserSettings;
  readonly signIns: SignIns;
  readonly #deps: Deps;
  #tokens: Tokens | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.signIns = new SignIns(deps);
    this.apiKeys = new StoredApiKeys(deps);
    const { world, entities } = deps;
    const parts = { world, entities, signIns: this.signIns, apiKeys: this.apiKeys, tokens: () => this.#ready() };
    this.accounts = new UserAccounts(parts);
    this.settings = new StoredUserSettings(entities);
    this.directory = new StoredDirectory(deps, this.accounts, this.settings);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { entities, world } = this.#deps;
    this.#tokens = new Tokens(await signingKey(entities, { signal }), world);
    await ensureAdministrator({ ...this.#deps, accounts: this.accounts, directory: this.directory }, { signal });
  }

  #ready(): Tokens {
    if (this.#tokens === undefined) throw new Fault("unavailable", "identity.busy", "the node has not started");
    return this.#tokens;
  }
}
