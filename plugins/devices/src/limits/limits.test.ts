import { apiUsageCollection, tenantCollection, tenantProfileCollection } from "@heddle/plugin-sdk";
import { MemoryEntityStore, silentLog, steppedWorld } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { Limiter } from "./limiter.ts";
import { Tenants } from "./tenants.ts";
import { readLimit, TokenBuckets } from "./token-buckets.ts";

const call = { signal: new AbortController().signal };
const codeOf = (act: () => void) => {
  try {
    act();
    return "taken";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

async function setUp(configuration: Record<string, unknown>) {
  const world = steppedWorld();
  const entities = new MemoryEntityStore();
  const configure = async (to: Record<string, unknown>) => {
    const profile = { id: "p", name: "p", profileData: { configuration: to } };
    await entities.collection(tenantProfileCollection).put([{ value: profile as never, expect: "any" }], call);
  };
  const tenant = { id: "t", title: "t", tenantProfileId: "p" };
  await entities.collection(tenantCollection).put([{ value: tenant as never, expect: "any" }], call);
  await configure(configuration);
  const make = () => new Tenants({ world, log: silentLog, entities }, call.signal);
  const tenants = make();
  await tenants.know("t", call);
  tenants.watch();
  const refused: string[] = [];
  const limiter = (whose: "device" | "gatewayDevice" | "gateway", deviceId: string, from = tenants) =>
    new Limiter({
      ...{ world, whose, deviceId, terms: from.of("t") },
      refused: (by, counted) => refused.push(`${by}/${counted}`),
    });
  return { world, entities, tenants, make, limiter, refused, configure };
}

describe("limit texts", () => {
  it("are pairs that must all have tokens", () => {
    expect(readLimit("10:1,300:60")).toEqual([
      [10, 1],
      [300, 60],
    ]);
    for (const none of ["", null, undefined, "x", "0:1"]) expect(readLimit(none)).toBeUndefined();
    const buckets = new TokenBuckets(
      [
        [2, 1],
        [3, 60],
      ],
      0,
    );
    expect([buckets.take(1, 0), buckets.take(1, 0), buckets.take(1, 0)]).toEqual([true, true, false]);
    expect([buckets.take(1, 1_000), buckets.take(1, 1_000)]).toEqual([true, false]);
    expect(buckets.take(1, 21_000)).toBe(true);
  });
});

describe("rate limits of a tenant's profile", () => {
  it("LIM-01 of six telemetry messages with a limit of five the sixth is refused, others are not", async () => {
    const { limiter, refused } = await setUp({ transportDeviceTelemetryMsgRateLimit: "5:60" });
    const [one, other] = [limiter("device", "a"), limiter("device", "b")];
    const codes = Array.from({ length: 6 }, () => codeOf(() => one.values(1)));
    expect(codes).toEqual([...Array(5).fill("taken"), "device.rate-limit"]);
    expect(codeOf(() => other.values(1))).toBe("taken");
    expect(codeOf(() => one.message())).toBe("taken");
    expect(refused).toEqual(["device/telemetryMessages"]);
  });

  it("LIM-03 data points are counted, and `{}` is a message like any other", async () => {
    const { limiter } = await setUp({ transportDeviceTelemetryDataPointsRateLimit: "3:60" });
    const device = limiter("device", "a");
    expect(codeOf(() => device.values(4))).toBe("device.rate-limit");
    expect(codeOf(() => device.values(0))).toBe("taken");
    expect(codeOf(() => device.values(3))).toBe("taken");
  });

  it("GW-24 limits of devices, of gateways themselves and of what gateways send are three different ones", async () => {
    const texts = {
      device: "transportDeviceTelemetryMsgRateLimit",
      gatewayDevice: "transportGatewayDeviceTelemetryMsgRateLimit",
      gateway: "transportGatewayTelemetryMsgRateLimit",
    } as const;
    for (const limited of ["device", "gatewayDevice", "gateway"] as const) {
      const { limiter } = await setUp({ [texts[limited]]: "1:60" });
      for (const whose of ["device", "gatewayDevice", "gateway"] as const) {
        const sender = limiter(whose, "g");
        sender.values(1);
        expect(codeOf(() => sender.values(1))).toBe(whose === limited ? "device.rate-limit" : "taken");
      }
    }
  });

  it("the tenant's own limit is for all of its devices together", async () => {
    const { limiter, refused } = await setUp({ transportTenantMsgRateLimit: "2:60" });
    limiter("device", "a").message();
    limiter("device", "b").message();
    expect(codeOf(() => limiter("device", "c").message())).toBe("device.rate-limit");
    expect(refused).toEqual(["tenant/messages"]);
  });

  it("changes are known within seconds, without a restart", async () => {
    const { limiter, configure, world } = await setUp({});
    const device = limiter("device", "a");
    for (let i = 0; i < 10; i++) device.values(1);
    await configure({ transportDeviceTelemetryMsgRateLimit: "1:60" });
    await world.pass(3_000);
    device.values(1);
    expect(codeOf(() => device.values(1))).toBe("device.rate-limit");
    expect(device.limits.own).toEqual({ messages: null, telemetryMessages: "1:60", telemetryDataPoints: null });
    await configure({});
    await world.pass(3_000);
    expect(codeOf(() => device.values(1))).toBe("taken");
  });

  it("a fault says how long to wait", async () => {
    const { limiter } = await setUp({ transportDeviceMsgRateLimit: "2:10" });
    const device = limiter("device", "a");
    device.message();
    device.message();
    expect(() => device.message()).toThrowError(expect.objectContaining({ retryAfterMs: 5_000, kind: "exhausted" }));
  });
});

describe("API usage", () => {
  it("is summed over nodes, warns, and ends what the tenant may send", async () => {
    const { limiter, tenants, make, world, entities } = await setUp({ maxTransportMessages: 10, warnThreshold: 0.5 });
    const second = make();
    await second.know("t", call);
    second.watch();
    for (let i = 0; i < 3; i++) {
      limiter("device", "a").values(2);
      limiter("device", "b", second).values(1);
    }
    await world.pass(6_000);
    const usage = await tenants.usageOf("t", call);
    expect(usage).toMatchObject({
      counts: { transportMessages: 6, transportDataPoints: 9 },
      transportState: "WARNING",
    });
    for (let i = 0; i < 4; i++) limiter("device", "a").values(1);
    // Terms are read again by who uses them.
    limiter("device", "b", second).values(1);
    await world.pass(6_000);
    expect(codeOf(() => limiter("device", "b", second).values(1))).toBe("device.usage");
    expect(codeOf(() => limiter("device", "a").message())).toBe("device.usage");
    const [stored] = await entities.collection(apiUsageCollection).get(["t"], call);
    expect(stored?.value.stateId).toBe(usage.stateId);
  });

  it("begins anew with the month, and is zero for who has used nothing", async () => {
    const { limiter, tenants, world } = await setUp({ maxTransportMessages: 1 });
    expect((await tenants.usageOf("t", call)).counts.transportMessages).toBe(0);
    limiter("device", "a").values(1);
    await world.pass(6_000);
    expect((await tenants.usageOf("t", call)).transportState).toBe("DISABLED");
    await world.pass(31 * 24 * 3_600_000);
    expect((await tenants.usageOf("t", call)).counts.transportMessages).toBe(0);
    // Read again because somebody asks.
    codeOf(() => limiter("device", "a").values(1));
    await world.pass(3_000);
    expect(codeOf(() => limiter("device", "a").values(1))).toBe("taken");
  });

  it("what was used last is written down at the end", async () => {
    const { limiter, tenants } = await setUp({});
    limiter("device", "a").values(5);
    await tenants.close();
    expect((await tenants.usageOf("t", call)).counts).toEqual({ transportMessages: 1, transportDataPoints: 5 });
  });
});
