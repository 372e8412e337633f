import type { EntityId } from "./entity.ts";
import type { Plain } from "./plain.ts";

/** A rule-engine message (rule-engine 1.1); immutable. */
export interface Msg {
  readonly id: string;
  /** One of rule-engine 1.3, or any custom text. */
  readonly type: string;
  readonly originator: EntityId;
  readonly tenantId: string;
  readonly customerId?: string | undefined;
  /** Creation time, ms since the epoch. */
  readonly ts: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Parsed JSON; a text when `dataType` is TEXT. */
  readonly data: Plain;
  readonly dataType: "JSON" | "TEXT" | "BINARY";
  /** Where to start; absent: the tenant's root chain, its first node. */
  readonly ruleChainId?: string | undefined;
  readonly ruleNodeId?: string | undefined;
  /** With `ruleNodeId`: go on along these relations of that node instead of entering it. */
  readonly relations?: readonly string[] | undefined;
  /** Rule nodes entered so far, through all chains. */
  readonly hops?: number | undefined;
  /** Callers of nested chains, outermost first. */
  readonly stack?: readonly { readonly ruleChainId: string; readonly ruleNodeId: string }[] | undefined;
}

/** The time of a message's data: `metadata.ts` when it is a valid number, else `msg.ts` (rule-engine 1.1). */
export function dataTs(msg: Msg): number {
  const text = msg.metadata["ts"];
  if (text === undefined || text === "") return msg.ts;
  const ts = Number(text);
  return Number.isSafeInteger(ts) ? ts : msg.ts;
}
