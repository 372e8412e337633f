import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  "identity.anonymous": { kind: "denied", help: "Nobody is signed in, or the credentials have the wrong form." },
  "identity.credentials": { kind: "denied", help: "Unknown user, wrong password, or an unknown API key." },
  "identity.token": { kind: "denied", help: "The token cannot be read." },
  "identity.expired": { kind: "denied", help: "The token is too old, or its sign-in has ended." },
  "identity.outdated": { kind: "denied", help: "The refresh token's sign-in has ended." },
  "identity.inactive": { kind: "denied", help: "The user is not activated, or disabled." },
  "identity.busy": { kind: "exhausted", help: "More passwords wait to be checked than the bound." },
  "registry.limit": { kind: "denied", help: "The tenant profile allows no more entities of this type." },
  "input.invalid": { kind: "invalid", help: "A field breaks a rule; the message says which." },
  "record.conflict": { kind: "conflict", help: "The record has a newer version than the caller knows." },
  "record.missing": { kind: "missing", help: "There is no such record." },
} as const satisfies FaultSpecs;

const texts = {
  "identity.anonymous": "Authentication failed",
  "identity.credentials": "Invalid username or password",
  "identity.token": "Invalid username or password",
  "identity.expired": "Token has expired",
  "identity.outdated": "Token is outdated",
  "identity.inactive": "User account is not active",
} as const;

/** The refusals of rest-semantics 2.4 and 2.9, with their texts. */
export function denied(code: keyof typeof texts): Fault {
  return new Fault("denied", code, texts[code]);
}

export function missing(kind: string, id: string): Fault {
  return new Fault("missing", "record.missing", `${kind} with id [${id}] is not found`);
}
