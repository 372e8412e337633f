import { LaunchOptions, Onboarding, OtaPackages, ReadyNotes, Sessions } from "@heddle/plugin-sdk";
import { describePlugin, FakeOnboarding, FakePackages } from "@heddle/plugin-sdk/testing";
import { FakePlatform } from "../testing/platform.ts";
import card from "./index.ts";

describePlugin(card, {
  config: { port: 0, host: "127.0.0.1" },
  deps: new Map<string, unknown>([
    [Sessions.id, new FakePlatform()],
    [Onboarding.id, new FakeOnboarding()],
    [OtaPackages.id, new FakePackages()],
    [ReadyNotes.id, { add() {} }],
    [LaunchOptions.id, { demo: true }],
  ]),
});
