import { capability } from "../define/capability.ts";

/** How this process was asked to start. */
export interface LaunchOptions {
  /** Bring sample data and say how to try it; never set in production. */
  readonly demo: boolean;
}
export const LaunchOptions = capability<LaunchOptions>("launch-options@1");
