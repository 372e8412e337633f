import { Bytes, Duration, SecretString, type Static, Type } from "@heddle/plugin-sdk";

const pem = "PEM text, or the name of a file that holds it.";

const Tls = Type.Object(
  {
    ca: Type.Optional(
      Type.String({ minLength: 1, description: `Authorities to trust instead of the system's. ${pem}` }),
    ),
    cert: Type.Optional(Type.String({ minLength: 1, description: `This client's certificate. ${pem}` })),
    key: Type.Optional(SecretString({ description: `The certificate's private key. ${pem}` })),
    serverName: Type.Optional(Type.String({ description: "Name that the brokers' certificate must carry." })),
  },
  { additionalProperties: false, description: "Given, even empty: connections are TLS." },
);

const Sasl = Type.Object(
  {
    mechanism: Type.Union([Type.Literal("PLAIN"), Type.Literal("SCRAM-SHA-256"), Type.Literal("SCRAM-SHA-512")]),
    username: Type.String({ minLength: 1 }),
    password: SecretString(),
  },
  { additionalProperties: false },
);

export const Settings = Type.Object(
  {
    brokers: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: "`host:port` of brokers to begin with; an entry may hold several, separated by commas.",
    }),
    prefix: Type.String({
      default: "heddle",
      pattern: "^[A-Za-z0-9._-]{1,80}$",
      description: "Begins the name of every topic and group, so that clusters can share brokers.",
    }),
    replication: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 32,
        description: "Copies of topics made here; default three, or as many as there are brokers.",
      }),
    ),
    minInSync: Type.Optional(
      Type.Integer({ minimum: 1, description: "Copies that must have a record; default one less than `replication`." }),
    ),
    recordBytes: Bytes({ default: "1MB", description: "Largest record with key and headers." }),
    pendingBytes: Bytes({ default: "32MB", description: "Bytes on their way to the brokers; beyond it `send` waits." }),
    readAheadBytes: Bytes({
      default: "512KB",
      description: "Bytes that a reader holds before its partition is paused.",
    }),
    fetchWait: Duration({
      default: "250ms",
      description: "Time a fetch waits for records; a partition that is gained or resumed may wait as long.",
    }),
    ackTimeout: Duration({ default: "30s", description: "Longest time until a record is durable or its send fails." }),
    connectTimeout: Duration({ default: "3s", description: "Longest time to open one connection." }),
    positionDelay: Duration({
      default: "1s",
      description: "Longest time a reader's progress is in memory only; losing it means redelivery.",
    }),
    handOverWait: Duration({
      default: "400ms",
      description: "Longest time a partition is held until its position is seen to be saved; then it is redelivered.",
    }),
    tls: Type.Optional(Tls),
    sasl: Type.Optional(Sasl),
  },
  { additionalProperties: false },
);
export type Settings = Static<typeof Settings>;

/** Every `host:port`, whichever way they were given. */
export function brokerList(brokers: readonly string[]): string[] {
  return brokers.flatMap((entry) => entry.split(",")).flatMap((broker) => broker.trim() || []);
}

/** The names that things of one cluster have in Kafka. */
export class Names {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  topic(name: string): string {
    return `${this.#prefix}.${name}`;
  }

  /** The name that `topic` was given, if it is one of this cluster's. */
  topicOf(name: string): string | undefined {
    return name.startsWith(`${this.#prefix}.`) ? name.slice(this.#prefix.length + 1) : undefined;
  }

  /** The group that holds positions; nobody joins it. */
  group(name: string): string {
    return `${this.#prefix}.${name}`;
  }

  /** The group of one that this incarnation fetches through. */
  fetcher(topic: string, group: string, incarnation: string): string {
    return `${this.#prefix}.${group}.${topic}.fetch.${incarnation}`;
  }

  positions(incarnation: string): string {
    return `${this.#prefix}.positions.${incarnation}`;
  }
}
