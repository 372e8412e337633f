import type { Msg, Routes, RuleTurn } from "@heddle/plugin-sdk";

/** The node's root actor: which tenants live here. */
export interface AppVerbs {
  /** Starts the actors of all tenants that the store knows. */
  start(none: null): Promise<number>;
}

/** A tenant's chains on this node. */
export interface TenantVerbs {
  /** Resolves when every branch of the message is done. Faults: the first failure that no chain took care of. */
  process(msg: Msg): Promise<void> | void;
  /** Starts, restarts and stops chains as the store now says. */
  reload(none: null): Promise<void>;
  /** Wakes the tenant. */
  start(none: null): void;
}

/** The routing table: walks messages through its nodes and counts what is outstanding. */
export interface ChainVerbs {
  process(msg: Msg): Promise<void> | void;
  /** Why each node that could not start did not, by node id. */
  broken(none: null): Record<string, string>;
}

/** One node's configuration, state, failures and statistics. */
export interface NodeVerbs {
  onMsg(entry: { readonly msg: Msg; readonly turn: RuleTurn<string> }): Routes<string> | Promise<Routes<string>>;
  start(none: null): string;
}
