import { nullId, type Static, type TSchema, Type } from "@heddle/plugin-sdk";
import { uuidOf } from "./operation.ts";

/** A member that may be missing or null. */
export const Maybe = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
export const MaybeText = Maybe(Type.String());
export const AnyObject = Type.Record(Type.String(), Type.Unknown());

/** An id as an object; its type may be left out where only one fits (rest-semantics 1.5). */
export const EntityRef = Type.Object({ id: Type.String(), entityType: MaybeText });
export const MaybeRef = Maybe(EntityRef);

/** The UUID, or null for none; `nullId` is none too. */
export function idOf(ref: Static<typeof EntityRef> | null | undefined): string | null {
  if (ref === null || ref === undefined) return null;
  const id = uuidOf(ref.id);
  return id === nullId ? null : id;
}

/** `{ id }` when there is one: drafts have no id until they are stored. */
export function draftId(ref: Static<typeof EntityRef> | null | undefined): { readonly id?: string } {
  const id = idOf(ref);
  return id === null ? {} : { id };
}

export const Contact = {
  country: MaybeText,
  state: MaybeText,
  city: MaybeText,
  address: MaybeText,
  address2: MaybeText,
  zip: MaybeText,
  phone: MaybeText,
  email: MaybeText,
};

/** What every stored thing has on its way in. */
export const Common = {
  id: MaybeRef,
  version: Maybe(Type.Integer()),
  additionalInfo: Maybe(AnyObject),
};

/** `UNIQUIFY` and its settings (rest-semantics 6.7). */
export const ConflictQuery = Type.Object({
  nameConflictPolicy: Type.Optional(Type.Union([Type.Literal("FAIL"), Type.Literal("UNIQUIFY")])),
  uniquifySeparator: Type.Optional(Type.String({ maxLength: 16 })),
  uniquifyStrategy: Type.Optional(Type.Union([Type.Literal("RANDOM"), Type.Literal("INCREMENTAL")])),
});

export function conflictOf(query: Static<typeof ConflictQuery>) {
  const { nameConflictPolicy: policy = "FAIL", uniquifySeparator: separator, uniquifyStrategy: strategy } = query;
  return {
    policy,
    ...(separator === undefined ? {} : { separator }),
    ...(strategy === undefined ? {} : { strategy }),
  };
}

/** Without members that are null or undefined: stored drafts take their defaults. */
export function present<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], null | undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== null && member !== undefined),
  ) as never;
}
