import { Duration, type Log, type Metric, type Secret, SecretString, Type, type World } from "@heddle/plugin-sdk";

/** The fields of a card's config that concern the connection. */
export const sessionFields = {
  contactPoints: Type.Union([Type.Array(Type.String()), Type.String()], {
    default: ["127.0.0.1:9042"],
    description: "Where to find the first nodes, host:port each; a text may hold several, separated by commas.",
  }),
  keyspace: Type.String({
    default: "heddle",
    pattern: "^[a-z][a-z0-9_]{0,47}$",
    description: "Made when it does not exist; the stores of one installation may share it.",
  }),
  localDataCenter: Type.Optional(
    Type.String({ description: "Requests go to nodes of this data centre; absent: the first contact point's." }),
  ),
  replication: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        "Copies of everything in the local data centre, set when the keyspace is made; default three, or as many as there are nodes.",
    }),
  ),
  consistency: Type.Union(
    [Type.Literal("LOCAL_QUORUM"), Type.Literal("QUORUM"), Type.Literal("EACH_QUORUM"), Type.Literal("ALL")],
    { default: "LOCAL_QUORUM", description: "Of reads and writes; a majority, so that a read sees what was written." },
  ),
  user: Type.Optional(Type.String()),
  password: Type.Optional(SecretString()),
  tls: Type.Optional(
    Type.Object(
      {
        ca: Type.Optional(Type.String({ description: "PEM file of the authorities; absent: the system's." })),
        cert: Type.Optional(Type.String({ description: "PEM file of our certificate." })),
        key: Type.Optional(Type.String({ description: "PEM file of its key." })),
        verify: Type.Boolean({ default: true, description: "Whether the certificate must be valid for the host." }),
      },
      { additionalProperties: false, description: "Present: connections are encrypted." },
    ),
  ),
  maxRequests: Type.Integer({
    default: 512,
    minimum: 1,
    maximum: 16_384,
    description: "Requests under way at once; a further one waits.",
  }),
  requestTimeout: Duration({
    default: "10s",
    description: "What one request may take, waiting for its turn included, before it fails with store.timeout.",
  }),
};

export interface SessionConfig {
  readonly contactPoints: readonly string[] | string;
  readonly keyspace: string;
  readonly localDataCenter?: string;
  readonly replication?: number;
  readonly consistency: "LOCAL_QUORUM" | "QUORUM" | "EACH_QUORUM" | "ALL";
  readonly user?: string;
  readonly password?: Secret;
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly verify: boolean;
  };
  readonly maxRequests: number;
  /** ms */
  readonly requestTimeout: number;
}

/** The metrics every card of a session has. */
export const sessionMetrics = {
  requestSeconds: { kind: "histogram", unit: "s", help: "Time of one request, waiting for its turn included." },
  waitingRequests: { kind: "gauge", unit: "requests", help: "Requests that wait for their turn." },
  failedRequests: { kind: "counter", unit: "requests", help: "Requests without an answer or with an error." },
} as const;

export interface SessionParts {
  readonly world: World;
  readonly log: Log;
  readonly metrics: Readonly<Record<keyof typeof sessionMetrics, Metric>>;
  /** `host:port` that nodes are reached at instead of what they advertise; for networks that translate addresses. */
  readonly translate?: (advertised: string) => string;
}

export const contactPointsOf = ({ contactPoints }: Pick<SessionConfig, "contactPoints">): string[] =>
  [contactPoints].flat().flatMap((text) => text.split(",").flatMap((one) => one.trim() || []));
