import { definePlugin, EntityData, EntityStore, provide, Relations, Type } from "@heddle/plugin-sdk";
import { StoredRelations } from "./stored-relations.ts";

export default definePlugin({
  name: "@heddle/relations",
  sdk: "^1.0",
  summary: "Directed, named edges between entities.",
  stability: "beta",
  config: Type.Object({}, { additionalProperties: false }),
  requires: { entities: EntityStore },
  provides: [Relations, EntityData],
  register({ container, deps }) {
    let made: StoredRelations | undefined;
    const relations = () => {
      made ??= new StoredRelations(deps.entities);
      return made;
    };
    provide(container, Relations, relations);
    provide(container, EntityData, relations);
  },
});
