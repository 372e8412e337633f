import {
  type CallOptions,
  customerCollection,
  type EntityStore,
  invalid,
  type OtaPackageDocument,
  type OtaPackageType,
  otaPackageCollection,
  ruleChainCollection,
} from "@heddle/plugin-sdk";

interface Reference {
  readonly tenantId: string;
  readonly id: string | null | undefined;
}

/** What devices and profiles point to; faults with the texts of rest-semantics 6.8. */
export class References {
  readonly #entities: EntityStore;

  constructor(entities: EntityStore) {
    this.#entities = entities;
  }

  async checkCustomer({ tenantId, id }: Reference, call: CallOptions): Promise<void> {
    if (id === undefined || id === null) return;
    const [customer] = await this.#entities.collection(customerCollection).get([id], call);
    if (customer === undefined) throw invalid("Can't assign device to non-existent customer!");
    if (customer.value.tenantId !== tenantId) throw invalid("Can't assign device to customer from different tenant!");
  }

  async checkRuleChain({ tenantId, id }: Reference, call: CallOptions): Promise<void> {
    if (id === undefined || id === null) return;
    const [chain] = await this.#entities.collection(ruleChainCollection).get([id], call);
    if (chain === undefined) throw invalid("Can't assign non-existent rule chain!");
    if (chain.value.tenantId !== tenantId) throw invalid("Can't assign rule chain from different tenant!");
  }

  /** Firmware and software of a device or a profile; a package without a profile fits every one. */
  async checkPackages(
    what: {
      readonly tenantId: string;
      readonly profileId: string | undefined;
      readonly firmwareId?: string | null | undefined;
      readonly softwareId?: string | null | undefined;
    },
    call: CallOptions,
  ): Promise<void> {
    for (const type of ["FIRMWARE", "SOFTWARE"] as const) {
      const id = type === "FIRMWARE" ? what.firmwareId : what.softwareId;
      if (id === undefined || id === null) continue;
      const [found] = await this.#entities.collection(otaPackageCollection).get([id], call);
      checkPackage(found?.value, { ...what, type });
    }
  }
}

function checkPackage(
  found: OtaPackageDocument | undefined,
  wanted: { readonly tenantId: string; readonly profileId: string | undefined; readonly type: OtaPackageType },
): void {
  const noun = wanted.type.toLowerCase();
  if (found === undefined) throw invalid(`Can't assign non-existent ${noun}!`);
  if (found.tenantId !== wanted.tenantId) throw invalid(`Can't assign ${noun} from different tenant!`);
  if (found.type !== wanted.type) throw invalid(`Can't assign ${noun} with type: ${found.type}!`);
  if (!found.hasData) throw invalid(`Can't assign ${noun} with empty data!`);
  if (found.deviceProfileId !== null && found.deviceProfileId !== wanted.profileId) {
    throw invalid(`Can't assign ${noun} with different deviceProfile!`);
  }
}
