import type { Log, Onboarding, OtaPackages, Session, Sessions, Telemetry, World } from "@heddle/plugin-sdk";
import type { Budget } from "./budget.ts";
import type { Version } from "./codec.ts";
import type { MqttLimits } from "./limits.ts";

/** What is counted on the way and reported with every sweep. */
export interface Counts {
  received: number;
  sent: number;
  acknowledged: number;
  refused: number;
  inbound: number;
  outbound: number;
  /** Connections that wait for commits before they are read on. */
  paused: number;
}

/** What all connections of a listener share. */
export interface Common {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  readonly packages: OtaPackages;
  readonly telemetry: Telemetry;
  readonly limits: MqttLimits;
  readonly budget: Budget;
  readonly counts: Counts;
  /** Ends a session whose connection has ended. */
  dispose(session: Session): void;
}

/** The connection, as the two directions of an open session see it. */
export interface Wire {
  readonly version: Version;
  readonly common: Common;
  /** Written with everything else of this turn of the loop. `patient`: its size is not held against the device. */
  send(bytes: Buffer, patient?: boolean): void;
  /** Resolves when the device has read nearly everything that was written. */
  drained(signal: AbortSignal): Promise<void>;
  /** Nothing more is read; what is owed is still written. */
  deafen(): void;
  /** DISCONNECT where the version has it and there is a reason to tell, then close. */
  end(reasonCode: number | undefined): void;
  /** Reads on when there is room. */
  readOn(): void;
  /** Follows a call to the platform; the connection takes part in the in-flight limit with it. */
  track(call: Promise<unknown>, failed: string): void;
}
