import type { Turn } from "../kernel/call.ts";
import type { Log } from "../kernel/log.ts";
import type { Msg } from "../model/msg.ts";
import type { Plain } from "../model/plain.ts";
import type { Static, TObject } from "../schema.ts";
import { type Deps, extensionPoint, type Needs } from "./capability.ts";
import type { Startable } from "./plugin.ts";

export interface Route<R extends string = string> {
  readonly relation: R;
  readonly msg: Msg;
}
export type Routes<R extends string> = Route<R> | readonly Route<R>[] | void;

export interface RuleTurn<R extends string> extends Turn {
  to(relation: R, msg: Msg): Route<R>;
  /** Messages are immutable: a copy with these parts changed. */
  with(msg: Msg, change: Partial<Pick<Msg, "type" | "originator" | "metadata" | "data" | "dataType">>): Msg;
}

export interface RuleNode<R extends string = string> extends Startable {
  /** Nothing returned ends the branch; a throw takes the implicit relation `Failure`. */
  onMsg(msg: Msg, turn: RuleTurn<R>): Routes<R> | Promise<Routes<R>>;
}

export interface RuleNodeContext<C, N extends Needs> {
  readonly config: C;
  readonly deps: Deps<N>;
  readonly log: Log;
  readonly tenantId: string;
  readonly ruleChainId: string;
  readonly ruleNodeId: string;
  readonly name: string;
}

export interface RuleNodeDefinition<
  S extends TObject = TObject,
  R extends readonly string[] = readonly string[],
  N extends Needs = Needs,
> {
  /** The string that chains carry: of our own nodes the one that exported chains use, of others `vendor.name`. */
  readonly type: string;
  readonly version: number;
  readonly title: string;
  readonly summary: string;
  readonly category: "filter" | "enrich" | "transform" | "action" | "external" | "flow";
  readonly relations: R;
  /** The editor's form and the defaults come from it. */
  readonly config: S;
  readonly requires?: N;
  /** From that config version to the next. */
  readonly migrate?: Readonly<Record<number, (old: Plain) => Plain>>;
  create(ctx: RuleNodeContext<Static<S>, N>): RuleNode<R[number]>;
}

export function defineRuleNode<S extends TObject, const R extends readonly string[], const N extends Needs = {}>(
  node: RuleNodeDefinition<S, R, N>,
): RuleNodeDefinition<S, R, N> {
  return Object.freeze({ ...node });
}

/** A definition with the dependencies of the plugin that brings it. */
export interface RuleNodeProvider {
  readonly definition: RuleNodeDefinition<any, any, any>;
  create(ctx: Omit<RuleNodeContext<unknown, {}>, "deps">): RuleNode;
}
/** Each provider contributes a list: a plugin may bring many nodes. */
export const RuleNodes = extensionPoint<readonly RuleNodeProvider[]>("rule-nodes@1");
