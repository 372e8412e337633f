/** The other side of an exchange. `key` is its identity: address and port over UDP. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly key: string;
  /** Hash of the client certificate that the peer has shown, where the datagrams are encrypted (device-api 1.1). */
  readonly certificateHash?: string;
}

/** What carries messages: UDP, or anything else that carries datagrams. */
export interface Datagrams {
  /** Hands over and forgets: a datagram may be lost anyway. */
  send(bytes: Buffer, to: Endpoint): void;
}

export type Receive = (bytes: Buffer, from: Endpoint) => void;
