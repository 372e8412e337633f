import { asFault, BatchFault, Fault, type FaultKind, type Plain } from "@heddle/plugin-sdk";

interface WireFault {
  readonly kind: FaultKind;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly data?: Record<string, unknown>;
  readonly failures?: readonly { readonly index: number; readonly fault: WireFault }[];
}

/** A fault as a value: everything but its cause, which belongs to the log of the process where it happened. */
export function faultToPlain(error: unknown): Plain {
  return wireFault(asFault(error)) as unknown as Plain;
}

function wireFault(fault: Fault): WireFault {
  const { kind, code, message, retryAfterMs, data } = fault;
  const { failures } = fault as Partial<BatchFault>;
  return {
    kind,
    code,
    message,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    // Whatever a plugin put there: what JSON can say of it crosses.
    ...(data === undefined ? {} : { data: JSON.parse(JSON.stringify(data)) }),
    ...(failures === undefined
      ? {}
      : { failures: failures.map(({ index, fault: inner }) => ({ index, fault: wireFault(inner) })) }),
  };
}

export function faultFromPlain(value: Plain): Fault {
  return faultOf(value as unknown as WireFault);
}

function faultOf({ kind, code, message, retryAfterMs, data, failures }: WireFault): Fault {
  if (failures !== undefined) {
    return new BatchFault(
      code,
      message,
      failures.map(({ index, fault }) => ({ index, fault: faultOf(fault) })),
    );
  }
  return new Fault(kind, code, message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(data === undefined ? {} : { data }),
  });
}
