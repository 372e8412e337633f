import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Msg } from "../model/msg.ts";

/** Handing messages to the rule engine. */
export interface Rules {
  /** Resolves when the durable lane has it. */
  submit(
    msg: Omit<Msg, "id" | "ts" | "dataType"> & Partial<Pick<Msg, "id" | "ts" | "dataType">>,
    call: CallOptions,
  ): Promise<void>;
}
export const Rules = capability<Rules>("rules@1");
