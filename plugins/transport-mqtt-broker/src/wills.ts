import type { CallOptions, Collection, EntityStore } from "@heddle/plugin-sdk";
import type { PublishPacket } from "aedes";
import { sessionId, type WillDocument, willCollection } from "./documents.ts";

export interface WillsOptions {
  readonly tenantId: string;
  readonly entities: EntityStore;
  readonly call: CallOptions;
  readonly node: string;
  readonly life: string;
}

/** Wills of clients that are connected here, stored in case this node dies with them (MQTT 3.1.1, 3.1.2.5). */
export class Wills {
  readonly #options: WillsOptions;
  readonly #wills: Collection<WillDocument>;
  /** Clients that have one: for the others there is nothing to remove. */
  readonly #kept = new Set<string>();

  constructor(options: WillsOptions) {
    this.#options = options;
    this.#wills = options.entities.collection(willCollection);
  }

  async keep(
    { clientId, applicationId }: { readonly clientId: string; readonly applicationId: string },
    { topic, qos, retain, payload }: PublishPacket,
  ): Promise<void> {
    const { tenantId, node, life, call } = this.#options;
    this.#kept.add(clientId);
    const value: WillDocument = {
      id: sessionId(tenantId, clientId),
      tenantId,
      clientId,
      applicationId,
      node,
      life,
      topic,
      qos,
      retain: retain === true,
      payload: Buffer.from(payload).toString("base64"),
    };
    await this.#wills.put([{ value, expect: "any" }], call);
  }

  async forget(clientId: string): Promise<void> {
    if (this.#kept.delete(clientId))
      await this.#wills.remove([sessionId(this.#options.tenantId, clientId)], this.#options.call);
  }
}
