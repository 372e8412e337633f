import {
  Fault,
  type Onboarding,
  type OtaPackageDocument,
  type OtaPackages,
  type OtaPackageType,
  type ProvisionReply,
  type ProvisionRequest,
} from "@heddle/plugin-sdk";

const unused = (): never => {
  throw new Error("not used here");
};

/** What stands behind claims and provisioning, in memory. */
export class FakeOnboarding implements Onboarding {
  readonly claims: string[] = [];
  readonly requests: ProvisionRequest[] = [];
  reply: ProvisionReply = { status: "SUCCESS", credentialsType: "ACCESS_TOKEN", credentialsValue: "drawn" };
  presentChain = unused;
  adopt = unused;

  readProvisionRequest(payload: Uint8Array): ProvisionRequest {
    const request = JSON.parse(Buffer.from(payload).toString()) as ProvisionRequest;
    if (request.provisionDeviceKey === undefined) throw new Fault("invalid", "onboarding.request", "no key");
    return request;
  }

  async provision(request: ProvisionRequest): Promise<ProvisionReply> {
    this.requests.push(request);
    return this.reply;
  }

  async openClaim(_device: unknown, payload: Uint8Array): Promise<void> {
    this.claims.push(Buffer.from(payload).toString());
  }
}

/** At most one package of each type. */
export class FakePackages implements OtaPackages {
  readonly bytes: Buffer;
  readonly reads: { from: number; to: number }[] = [];
  firmware: Partial<OtaPackageDocument> | undefined;
  packages = { get: unused, many: unused, find: unused };
  save = unused;
  saveData = unused;
  remove = unused;

  constructor(bytes = Buffer.from("0123456789")) {
    this.bytes = bytes;
  }

  async assigned(_deviceId: string, type: OtaPackageType): Promise<OtaPackageDocument | undefined> {
    if (type !== "FIRMWARE" || this.firmware === undefined) return undefined;
    return { ...plain, dataSize: this.bytes.length, ...this.firmware };
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
