export interface Call {
  readonly id: number;
  readonly op: string;
  readonly arg: unknown;
}

/** `locked`: another process owns the file. `disk`: no room or failing. `conflict`: `data` says which. */
export interface Trouble {
  readonly trouble: "locked" | "disk" | "defect" | "conflict" | "gone" | "full";
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: Trouble };

/** An error that reaches the caller with this kind of trouble. */
export class WorkerTrouble extends Error {
  readonly trouble: Trouble["trouble"];
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(trouble: Trouble["trouble"], message: string, data?: Readonly<Record<string, unknown>>) {
    super(message);
    this.trouble = trouble;
    this.data = data;
  }
}
