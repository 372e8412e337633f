import { capability } from "../define/capability.ts";

type Say = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** One line per state change, none per message; the message is a constant, data goes in fields. */
export interface Log {
  child(name: string): Log;
  readonly debug: Say;
  readonly info: Say;
  readonly warn: Say;
  readonly error: Say;
}
export const Log = capability<Log>("log@1");
