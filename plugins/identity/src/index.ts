import {
  Accounts,
  ActorKinds,
  Actors,
  ApiKeys,
  Cluster,
  Directory,
  definePlugin,
  EntityData,
  EntityStore,
  Identity,
  Lanes,
  LaunchOptions,
  Log,
  provide,
  ReadyNotes,
  Type,
  UserSettings,
  World,
} from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { IdentityRoom } from "./identity-room.ts";

export default definePlugin({
  name: "@heddle/identity",
  sdk: "^1.0",
  summary: "Tenants, customers, users and how they sign in.",
  stability: "beta",
  config: Type.Object({}, { additionalProperties: false }),
  requires: {
    world: World,
    log: Log,
    actors: Actors,
    cluster: Cluster,
    lanes: Lanes,
    entities: EntityStore,
    launch: LaunchOptions,
    notes: ReadyNotes,
  },
  provides: [Identity, Accounts, ApiKeys, Directory, UserSettings, EntityData, ActorKinds],
  faults,
  register({ container, deps }) {
    let made: IdentityRoom | undefined;
    const room = () => {
      made ??= new IdentityRoom(deps);
      return made;
    };
    container.register(IdentityRoom, { useFactory: room });
    provide(container, Identity, () => room().accounts);
    provide(container, Accounts, () => room().accounts);
    provide(container, ApiKeys, () => room().apiKeys);
    provide(container, Directory, () => room().directory);
    provide(container, UserSettings, () => room().settings);
    provide(container, EntityData, () => room().directory);
    provide(container, ActorKinds, () => [room().signIns.kind]);
  },
  async start({ container, signal }) {
    await container.resolve(IdentityRoom).start(signal);
  },
});
