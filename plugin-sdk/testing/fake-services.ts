import {
  type ChildName,
  type DeviceIdentity,
  Fault,
  type Onboarding,
  type OtaPackageDocument,
  type OtaPackages,
  type OtaPackageType,
  type ProvisionReply,
  type ProvisionRequest,
} from "../src/index.ts";
import { fakeIdentity } from "./fake-sessions.ts";

const unused = (): never => {
  throw new Error("not used here");
};

/** What stands behind claims, provisioning and gateways, in memory. */
export class FakeOnboarding implements Onboarding {
  /** By device name, as it came. */
  readonly claims: { readonly device: string; readonly text: string }[] = [];
  readonly requests: ProvisionRequest[] = [];
  readonly chains: (readonly Uint8Array[])[] = [];
  readonly adopted: ChildName[] = [];
  reply: ProvisionReply = { status: "SUCCESS", credentialsType: "ACCESS_TOKEN", credentialsValue: "drawn" };
  /** What a child turns out to be, or why it does not. */
  child: (name: ChildName) => Promise<DeviceIdentity> = async ({ name }) => fakeIdentity(name, { deviceId: name });
  onChain: () => void = () => {};

  readProvisionRequest(payload: Uint8Array): ProvisionRequest {
    const request = objectOf(payload);
    if (request === undefined) throw new Fault("invalid", "onboarding.json", "no JSON object");
    if (request["provisionDeviceKey"] == null) throw new Fault("invalid", "onboarding.request", "no key");
    return request as unknown as ProvisionRequest;
  }

  async provision(request: ProvisionRequest): Promise<ProvisionReply> {
    this.requests.push(request);
    return this.reply;
  }

  async presentChain(chain: readonly Uint8Array[]): Promise<void> {
    this.chains.push(chain);
    this.onChain();
  }

  adopt(_gateway: DeviceIdentity, child: ChildName): Promise<DeviceIdentity> {
    this.adopted.push(child);
    return this.child(child);
  }

  async openClaim({ deviceName }: DeviceIdentity, payload: Uint8Array): Promise<void> {
    const text = Buffer.from(payload).toString();
    if (text !== "" && objectOf(payload) === undefined) throw new Fault("invalid", "device.payload", "no JSON object");
    this.claims.push({ device: deviceName, text });
  }
}

function objectOf(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(Buffer.from(payload).toString()) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // No JSON: the caller says what that means.
    return undefined;
  }
}

/** At most one package of each type, assigned to everybody. */
export class FakePackages implements OtaPackages {
  readonly bytes: Buffer;
  readonly reads: { readonly from: number; readonly to: number }[] = [];
  FIRMWARE: Partial<OtaPackageDocument> | undefined;
  SOFTWARE: Partial<OtaPackageDocument> | undefined;
  packages = { get: unused, many: unused, find: unused };
  save = unused;
  saveData = unused;
  remove = unused;

  constructor(bytes = Buffer.from("0123456789")) {
    this.bytes = bytes;
  }

  async assigned(_deviceId: string, type: OtaPackageType): Promise<OtaPackageDocument | undefined> {
    const found = this[type];
    return found === undefined ? undefined : { ...plain, type, dataSize: this.bytes.length, ...found };
  }

  async read(_id: string, { from, to }: { from: number; to: number }): Promise<Buffer> {
    this.reads.push({ from, to });
    return this.bytes.subarray(from, to);
  }
}

const plain: OtaPackageDocument = {
  id: "p",
  tenantId: "t",
  createdTime: 0,
  deviceProfileId: null,
  type: "FIRMWARE",
  title: "app",
  version: "1.2",
  tag: null,
  url: null,
  hasData: true,
  fileName: "app.bin",
  contentType: "application/octet-stream",
  checksumAlgorithm: "MD5",
  checksum: "",
  dataSize: 0,
  externalId: null,
  additionalInfo: null,
};
