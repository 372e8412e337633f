/** Every call that does I/O takes one; its promise settles soon after the signal aborts. */
export interface CallOptions {
  readonly signal: AbortSignal;
}

/** What a handler gets for one message. */
export interface Turn extends CallOptions {
  /** Correlates log lines of one message across nodes; empty when the sender gave none. */
  readonly trace: string;
}
