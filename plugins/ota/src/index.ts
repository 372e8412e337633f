import {
  AttributeStore,
  Bytes,
  Duration,
  definePlugin,
  EntityData,
  EntityStore,
  Lanes,
  Log,
  OtaPackages,
  provide,
  Telemetry,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { Assignments } from "./assignments.ts";
import { faults } from "./faults.ts";
import { OtaData } from "./ota-data.ts";
import { StoredPackages } from "./stored-packages.ts";

export default definePlugin({
  name: "@heddle/ota",
  sdk: "^1.0",
  summary: "Firmware and software packages for devices.",
  stability: "beta",
  config: Type.Object(
    {
      maxPackage: Bytes({ default: "256MB", description: "Largest package." }),
      cache: Bytes({ default: "32MB", description: "Memory for what many devices fetch at the same time." }),
      uploadTime: Duration({ default: "1h", description: "How long the upload of a package may take." }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    lanes: Lanes,
    entities: EntityStore,
    attributes: AttributeStore,
    telemetry: Telemetry,
  },
  provides: [OtaPackages, EntityData],
  faults,
  register({ container, config, deps }) {
    let made: { readonly packages: StoredPackages; readonly assignments: Assignments } | undefined;
    const parts = () => {
      made ??= { packages: new StoredPackages(deps, config), assignments: new Assignments(deps) };
      return made;
    };
    provide(container, OtaPackages, () => parts().packages);
    provide(container, EntityData, () => new OtaData(parts().packages, parts().assignments));
    container.register(Assignments, { useFactory: () => parts().assignments });
  },
  async start({ container }) {
    container.resolve(Assignments).start();
  },
  async stop({ container }) {
    await container.resolve(Assignments).stop();
  },
});
