import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Stored } from "../spi/entities.ts";
import type { DeviceDocument } from "./documents.ts";
import type { Doer } from "./entity-events.ts";
import type { DeviceIdentity } from "./sessions.ts";

/** What a device asks to become one (device-api 6.1). Members that are null count as absent. */
export interface ProvisionRequest {
  readonly deviceName?: string;
  readonly provisionDeviceKey: string;
  readonly provisionDeviceSecret: string;
  readonly credentialsType?: "ACCESS_TOKEN" | "MQTT_BASIC" | "X509_CERTIFICATE" | "LWM2M_CREDENTIALS";
  readonly token?: string;
  readonly clientId?: string;
  readonly username?: string;
  readonly password?: string;
  /** A certificate, PEM or base64; the name is the protocol's. */
  readonly hash?: string;
  readonly gateway?: boolean;
}

export type ProvisionReply =
  | {
      readonly status: "SUCCESS";
      readonly credentialsType: string;
      /** A text, or the object of MQTT_BASIC; absent for LWM2M_CREDENTIALS. */
      readonly credentialsValue?: string | Readonly<Record<string, string | null>>;
    }
  | { readonly status: "NOT_FOUND" | "FAILURE"; readonly errorMsg: string };

/** Name and, for one that does not exist yet, profile of a device behind a gateway. */
export interface ChildName {
  readonly name: string;
  /** Default `default`. */
  readonly type?: string;
}

/** How devices come to be: what a transport does for somebody who is no device yet. */
export interface Onboarding {
  /**
   * Reads a request. Fault `onboarding.json` (invalid) when it is no JSON object, `onboarding.request` (invalid) when a
   * required member is missing or one has the wrong type.
   */
  readProvisionRequest(payload: Uint8Array): ProvisionRequest;
  /** A refusal is a reply, not a fault (device-api 6.2). */
  provision(request: ProvisionRequest, call: CallOptions): Promise<ProvisionReply>;
  /**
   * A certificate chain that was presented in a handshake, DER, leaf first: makes or renews the device that a profile with
   * chain provisioning wants (device-api 1.6). Then `Sessions.authenticate` with the leaf decides.
   */
  presentChain(chain: readonly Uint8Array[], call: CallOptions): Promise<void>;
  /**
   * The device of that name in the gateway's tenant, made if need be; the gateway becomes its last one (device-api 2.9).
   * Many calls for one name make one device. Faults: `registry.limit` (denied), `input.invalid`.
   */
  adopt(gateway: DeviceIdentity, child: ChildName, call: CallOptions): Promise<DeviceIdentity>;
  /**
   * The device may be claimed from now on (device-api 6.3); an empty payload is allowed. Resolves when durable, also when
   * claiming is not allowed. Fault `device.payload` (invalid).
   */
  openClaim(device: DeviceIdentity, payload: Uint8Array, call: CallOptions): Promise<void>;
}
export const Onboarding = capability<Onboarding>("onboarding@1");

/** What users do with devices that may be claimed (device-api 6.3, rest-semantics 15.4). */
export interface Claims {
  /** `FAILURE`: wrong key, expired or nothing stored, which is then discarded; `CLAIMED`: it has a customer. */
  claim(
    what: {
      readonly tenantId: string;
      readonly customerId: string;
      readonly deviceName: string;
      readonly secretKey: string;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<ClaimOutcome>;
  /** Takes the device from its customer, so that it may be claimed again. */
  reclaim(
    what: { readonly tenantId: string; readonly deviceId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void>;
}
export type ClaimOutcome =
  | { readonly response: "SUCCESS"; readonly device: Stored<DeviceDocument> }
  | { readonly response: "FAILURE" | "CLAIMED" };
export const Claims = capability<Claims>("claims@1");
