import type {
  ActorKind,
  CallOptions,
  ChildName,
  DeviceIdentity,
  Onboarding,
  ProvisionReply,
  ProvisionRequest,
} from "@heddle/plugin-sdk";
import { CertificateChains } from "./chain.ts";
import { Children } from "./children.ts";
import type { Claiming } from "./claiming.ts";
import type { OnboardingDeps } from "./deps.ts";
import { readProvisionRequest } from "./provision-request.ts";
import { Provisioned } from "./provisioned.ts";
import { Provisioning } from "./provisioning.ts";

/** The parts of this plugin behind the door that transports use. */
export class OnboardingRoom implements Onboarding {
  readonly kinds: readonly ActorKind<any>[];
  readonly #provisioning: Provisioning;
  readonly #chains: CertificateChains;
  readonly #children: Children;
  readonly #claiming: () => Claiming;

  constructor(deps: OnboardingDeps, claiming: () => Claiming) {
    const provisioned = new Provisioned(deps);
    this.kinds = [provisioned.kind];
    this.#provisioning = new Provisioning(deps, provisioned);
    this.#chains = new CertificateChains(deps, provisioned);
    this.#children = new Children(deps);
    this.#claiming = claiming;
  }

  readProvisionRequest(payload: Uint8Array): ProvisionRequest {
    return readProvisionRequest(payload);
  }

  provision(request: ProvisionRequest, call: CallOptions): Promise<ProvisionReply> {
    return this.#provisioning.provision(request, call);
  }

  presentChain(chain: readonly Uint8Array[], call: CallOptions): Promise<void> {
    return this.#chains.present(chain, call);
  }

  adopt(gateway: DeviceIdentity, child: ChildName, call: CallOptions): Promise<DeviceIdentity> {
    return this.#children.adopt(gateway, child, call);
  }

  openClaim(device: DeviceIdentity, payload: Uint8Array, call: CallOptions): Promise<void> {
    return this.#claiming().open(device, payload, call);
  }
}
