import type { CallOptions, EntityData, Removal } from "@heddle/plugin-sdk";
import type { Assignments } from "./assignments.ts";
import type { StoredPackages } from "./stored-packages.ts";

/** What goes with deleted devices and tenants (rest-semantics 7.4, 7.6). */
export class OtaData implements EntityData {
  readonly #packages: StoredPackages;
  readonly #assignments: Assignments;

  constructor(packages: StoredPackages, assignments: Assignments) {
    this.#packages = packages;
    this.#assignments = assignments;
  }

  /** A deleted tenant's packages cannot be read by anybody; bytes take their time. */
  async hide(): Promise<void> {}

  async forget({ entity }: Removal, call: CallOptions): Promise<void> {
    if (entity.entityType === "DEVICE") await this.#assignments.forgetDevice(entity.id, call);
    if (entity.entityType !== "TENANT") return;
    await this.#packages.forgetTenant(entity.id, call);
    await this.#assignments.forgetTenant(entity.id, call);
  }
}
