import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId, Scope } from "../model/entity.ts";
import type { Value } from "../model/plain.ts";
import type { RemoveQuery, Sample } from "../spi/timeseries.ts";

/** Writing what entities report and know: the store first, then everybody who watches. */
export interface Telemetry {
  /** Resolves when durable; subscribers are told right after. All samples belong to `tenantId`. */
  save(tenantId: string, samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void>;
  remove(tenantId: string, query: RemoveQuery, call: CallOptions): Promise<void>;
  /**
   * Resolves when durable and, with `notifyDevice` on a device, when the device's owner is sure to hear of it: the notice
   * is on the durable lane. Shared attributes are then pushed to the device.
   */
  saveAttributes(
    write: AttributeChange & { readonly values: Readonly<Record<string, Value>> },
    call: CallOptions,
  ): Promise<void>;
  /** The keys that existed. */
  removeAttributes(
    change: AttributeChange & { readonly keys: readonly string[] },
    call: CallOptions,
  ): Promise<string[]>;
  /** Drops series and attributes of deleted entities. */
  forget(tenantId: string, entities: readonly EntityId[], call: CallOptions): Promise<void>;
}

export interface AttributeChange {
  readonly tenantId: string;
  readonly entity: EntityId;
  readonly scope: Scope;
  readonly notifyDevice: boolean;
}
export const Telemetry = capability<Telemetry>("telemetry@1");
