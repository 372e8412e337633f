import { decodePlain, encodePlain, Fault, type FaultKind, type Plain } from "@heddle/plugin-sdk";

/** The version this program writes; a node reads every version up to its own. */
export const wireVersion = 1;

interface Common {
  /** Member id of the sender, and its incarnation: a frame of a former life is dropped. */
  readonly from: string;
  readonly incarnation: string;
}

/** A message for an actor; `ask` is absent for a tell. */
export interface CallFrame extends Common {
  readonly type: "call";
  readonly epoch: number;
  readonly kind: string;
  readonly key: string;
  readonly verb: string;
  readonly pinned: boolean;
  readonly arg: Plain;
  readonly trace: string;
  readonly ask?: number;
}

export interface AnswerFrame extends Common {
  readonly type: "answer";
  readonly ask: number;
  readonly value?: Plain;
  readonly fault?: { readonly kind: FaultKind; readonly code: string; readonly message: string };
}

/** The asker no longer waits. */
export interface CancelFrame extends Common {
  readonly type: "cancel";
  readonly ask: number;
}

export type Frame = CallFrame | AnswerFrame | CancelFrame;

/** Wire form: MessagePack `[version, type, from, incarnation, …]`; fields are only ever appended. */
export function encodeFrame(frame: Frame): Uint8Array {
  const head = [wireVersion, frame.type, frame.from, frame.incarnation];
  switch (frame.type) {
    case "call": {
      const { epoch, kind, key, verb, pinned, arg, trace, ask } = frame;
      return encodePlain([...head, epoch, kind, key, verb, pinned, arg ?? null, trace, ask ?? null]).slice();
    }
    case "answer":
      return encodePlain([...head, frame.ask, frame.value ?? null, frame.fault ?? null]).slice();
    case "cancel":
      return encodePlain([...head, frame.ask]).slice();
  }
}

/** Fault `remote.frame` for bytes that are not a frame this program reads. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const parts = decodeParts(bytes);
  const [version, type, from, incarnation] = parts as [number, string, string, string];
  if (!(version >= 1 && version <= wireVersion)) throw bad(`version ${String(version)}`);
  const rest = parts.slice(4) as any[];
  switch (type) {
    case "call": {
      const [epoch, kind, key, verb, pinned, arg, trace, ask] = rest;
      return { type, from, incarnation, epoch, kind, key, verb, pinned, arg, trace, ...(ask === null ? {} : { ask }) };
    }
    case "answer": {
      const [ask, value, fault] = rest;
      return { type, from, incarnation, ask, value, ...(fault === null ? {} : { fault }) };
    }
    case "cancel":
      return { type, from, incarnation, ask: rest[0] };
    default:
      throw bad(`type ${String(type)}`);
  }
}

function decodeParts(bytes: Uint8Array): readonly unknown[] {
  let value: unknown;
  try {
    value = decodePlain(bytes);
  } catch (cause) {
    throw bad("bytes that are not MessagePack", cause);
  }
  if (!Array.isArray(value)) throw bad("a value that is no list");
  return value;
}

function bad(what: string, cause?: unknown): Fault {
  return new Fault("invalid", "remote.frame", `frame from a peer has ${what}`, { cause });
}
