declare const carries: unique symbol;

/** A typed token: the only way two plugins ever meet. There is never a value behind `carries`; the type rides along. */
export interface Capability<V, C extends "one" | "many" = "one" | "many"> {
  /** `queue-backend@1`; a breaking change is a new id, so that both can live. */
  readonly id: string;
  /** `Symbol.for(id)`: two copies of the SDK still agree. */
  readonly token: symbol;
  readonly cardinality: C;
  readonly [carries]?: V;
}

/** Exactly one provider answers; with several in a distribution, its `bind` says which. */
export function capability<V>(id: `${string}@${number}`): Capability<V, "one"> {
  return Object.freeze({ id, token: Symbol.for(`heddle.capability/${id}`), cardinality: "one" as const });
}

/** All providers answer, in the order of the manifest. */
export function extensionPoint<V>(id: `${string}@${number}`): Capability<V, "many"> {
  return Object.freeze({ id, token: Symbol.for(`heddle.capability/${id}`), cardinality: "many" as const });
}

export interface OptionalNeed<V> {
  readonly optional: Capability<V, "one">;
}

/** The need may stay unmet; the dependency is then `undefined`. */
export function optional<V>(wanted: Capability<V, "one">): OptionalNeed<V> {
  return { optional: wanted };
}

export type Need = Capability<any, any> | OptionalNeed<any>;
export type Needs = Readonly<Record<string, Need>>;

export type Deps<N extends Needs> = {
  readonly [K in keyof N]: N[K] extends OptionalNeed<infer V>
    ? V | undefined
    : N[K] extends Capability<infer V, infer C>
      ? "many" extends C
        ? readonly V[]
        : V
      : never;
};

/** The capability behind a need, optional or not. */
export function neededCapability(need: Need): Capability<any, any> {
  return "optional" in need ? need.optional : need;
}
