/** Bounds of one listener; times in ms, sizes in bytes. */
export interface MqttLimits {
  /** Remaining length of a packet. */
  readonly maxPacket: number;
  /** Messages of one connection that may wait for their commit. */
  readonly inFlight: number;
  /** The same for all connections together, counted and as memory. */
  readonly totalInFlight: number;
  readonly totalBytes: number;
  /** Bytes written to a device that it has not read. */
  readonly unsent: number;
  /** From the accept to the session. */
  readonly connectMs: number;
  /** For the PUBACK of what is sent to a device. */
  readonly ackMs: number;
  readonly topicAliases: number;
  /** From a provisioning reply to the end of its connection. */
  readonly lingerMs: number;
  /** How often a gateway's latencies are told. */
  readonly latencyMs: number;
  /** Devices behind one gateway that are connected at once. */
  readonly children: number;
  readonly connections: number;
}

/** Packets that may wait behind a CONNECT (device-api 0.1). */
export const mostBehindConnect = 100;
/** Calls of one device that no rule chain has answered yet. */
export const mostCalls = 1000;
/** QoS 2 messages of one device between PUBREC and PUBREL. */
export const mostReceived = 1000;
/** How long a connection that the server ends may take to close. */
export const closeMs = 750;
/** How often deadlines are looked at. */
export const sweepMs = 250;
/** A replaced session is closed so long after its successor has begun: behind the CONNACK of that one. */
export const replacedMs = 100;
