import type { Collection, RpcCall, RpcDocument, RpcStatus, World } from "@heddle/plugin-sdk";

export interface RpcRecordsOptions {
  readonly world: World;
  readonly signal: AbortSignal;
  readonly rpcs: Collection<RpcDocument>;
  /** A persistent call was stored, or changed its status. */
  changed(document: RpcDocument): void;
}

/** A call whose outcome is still open, as a former owner of its device left it. */
export interface RestoredCall {
  readonly call: RpcCall;
  readonly requestId: number | undefined;
}

/** Statuses of calls that a device has yet to get or to answer. */
export const openStatuses: readonly RpcStatus[] = ["QUEUED", "SENT", "TIMEOUT", "DELIVERED"];

/** The documents of one device's persistent calls. Those of one call are written in order: each waits for the one before. */
export class RpcRecords {
  readonly #options: RpcRecordsOptions;
  readonly #writes = new Map<string, Promise<unknown>>();

  constructor(options: RpcRecordsOptions) {
    this.#options = options;
  }

  async create(call: RpcCall, status: RpcStatus): Promise<void> {
    const { world, rpcs, signal, changed } = this.#options;
    const { additionalInfo, ...rest } = call;
    const document: RpcDocument = {
      id: call.id,
      tenantId: call.tenantId,
      deviceId: call.deviceId,
      createdTime: world.now(),
      expirationTime: call.expiresAt,
      status,
      request: JSON.stringify(rest),
      response: null,
      additionalInfo: additionalInfo ?? null,
    };
    await rpcs.put([{ value: document, expect: "absent" }], { signal });
    changed(document);
  }

  async update(
    id: string,
    to: { readonly status: RpcStatus; readonly response?: string; readonly requestId?: number },
  ): Promise<void> {
    const { rpcs, signal, changed } = this.#options;
    const write = (this.#writes.get(id) ?? Promise.resolve()).then(async () => {
      const [stored] = await rpcs.get([id], { signal });
      if (stored === undefined) return;
      const value = { ...stored.value, ...to };
      await rpcs.put([{ value, expect: "any" }], { signal });
      changed(value);
    });
    const settled: Promise<void> = write.then(
      () => this.#forget(id, settled),
      () => this.#forget(id, settled),
    );
    this.#writes.set(id, settled);
    await write;
  }

  async deleted(id: string): Promise<void> {
    const { rpcs, signal, changed } = this.#options;
    const [stored] = await rpcs.get([id], { signal });
    if (stored !== undefined) changed({ ...stored.value, status: "DELETED" });
  }

  /** What a device has yet to get or to answer, oldest first; a one-way call that it has got is over. */
  async open(deviceId: string, most: number): Promise<RestoredCall[]> {
    const { rpcs, signal } = this.#options;
    const sort = { by: "createdTime", order: "asc" as const };
    const found = await rpcs.find({ where: { deviceId, status: { in: openStatuses } }, sort, limit: most }, { signal });
    return found.items.flatMap(({ value }) => {
      const call = JSON.parse(value.request) as RpcCall;
      return value.status === "DELIVERED" && call.oneway ? [] : [{ call, requestId: value.requestId }];
    });
  }

  #forget(id: string, settled: Promise<unknown>): void {
    if (this.#writes.get(id) === settled) this.#writes.delete(id);
  }
}
