import type { DeviceIdentity } from "@heddle/plugin-sdk";

/** When a device can be reached (device-api 4.5). */
export type Power =
  | { readonly mode: "always" }
  /** So long after it was heard, ms. */
  | { readonly mode: "psm"; readonly activityMs: number }
  /** In the first part of every cycle, ms. */
  | { readonly mode: "edrx"; readonly cycleMs: number; readonly windowMs: number };

const always: Power = { mode: "always" };
const usualActivityMs = 10_000;

/** The device's own settings, else those of its profile. */
export function powerOf({ ownTransport, transport }: Pick<DeviceIdentity, "ownTransport" | "transport">): Power {
  const profile = (transport["clientSettings"] ?? {}) as Readonly<Record<string, unknown>>;
  const settings = typeof ownTransport["powerMode"] === "string" ? ownTransport : profile;
  if (settings["powerMode"] === "PSM") {
    return { mode: "psm", activityMs: positive(settings["psmActivityTimer"]) ?? usualActivityMs };
  }
  const [cycleMs, windowMs] = [positive(settings["edrxCycle"]), positive(settings["pagingTransmissionWindow"])];
  if (settings["powerMode"] !== "E_DRX" || cycleMs === undefined || windowMs === undefined) return always;
  return { mode: "edrx", cycleMs, windowMs };
}

/** Whether it can be reached when it was heard so long ago, ms. */
export function isAwake(power: Power, silentMs: number): boolean {
  switch (power.mode) {
    case "always":
      return true;
    case "psm":
      return silentMs < power.activityMs;
    case "edrx":
      return silentMs % power.cycleMs < power.windowMs;
  }
}

function positive(value: unknown): number | undefined {
  return typeof value === "number" && value > 0 ? value : undefined;
}
