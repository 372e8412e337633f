import type { SessionEndReason } from "@heddle/plugin-sdk";

/** MQTT 5 reason codes that this transport writes (MQTT 5.0, 2.4); earlier versions never see them. */
export const reason = {
  success: 0x00,
  noSubscription: 0x11,
  unspecified: 0x80,
  notAuthorised: 0x87,
  busy: 0x89,
  implementation: 0x83,
  malformed: 0x81,
  protocolError: 0x82,
  unsupportedVersion: 0x84,
  clientId: 0x85,
  badCredentials: 0x86,
  unavailable: 0x88,
  leaving: 0x8b,
  keepAlive: 0x8d,
  takenOver: 0x8e,
  filter: 0x8f,
  topic: 0x90,
  unknownId: 0x92,
  receiveMaximum: 0x93,
  alias: 0x94,
  rateTooHigh: 0x96,
  quota: 0x97,
  administrative: 0x98,
  payload: 0x99,
  connectionRate: 0x9f,
} as const;

/** CONNACK return codes of 3.1 and 3.1.1. */
export const returnCode = { accepted: 0, identifier: 2, unavailable: 3, notAuthorised: 5 } as const;

/** What a device is told when the platform ends its session. */
export const endings = {
  replaced: reason.takenOver,
  credentials: reason.administrative,
  deleted: reason.administrative,
  idle: reason.implementation,
  unconfirmed: reason.administrative,
  gateway: reason.leaving,
  leaving: reason.leaving,
} as const satisfies Record<SessionEndReason, number>;
