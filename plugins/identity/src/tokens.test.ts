import { createHmac, randomBytes } from "node:crypto";
import { nullId, type World } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { type Bearer, Tokens } from "./tokens.ts";

const bearer: Bearer = {
  userId: "5b0a2a70-0000-11f0-8000-000000000001",
  email: "ta@example.org",
  authority: "TENANT_ADMIN",
  tenantId: "5b0a2a70-0000-11f0-8000-000000000002",
  customerId: nullId,
  sessionId: "session",
  isPublic: false,
  firstName: "T",
  lastName: null,
};

function setUp() {
  const clock = { now: 1_700_000_000_500 };
  const world = { now: () => clock.now, uuid: () => "5b0a2a70-0000-11f0-8000-000000000009" } as unknown as World;
  return { clock, world, tokens: new Tokens(randomBytes(64), world) };
}

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

describe("tokens (rest-semantics 2.7–2.9)", () => {
  it("carry the claims that clients read", () => {
    const { token, refreshToken } = setUp().tokens.issue(bearer);
    expect(claimsOf(token)).toEqual({
      sub: "ta@example.org",
      userId: bearer.userId,
      scopes: ["TENANT_ADMIN"],
      sessionId: "session",
      iss: "thingsboard.io",
      iat: 1_700_000_000,
      exp: 1_700_009_000,
      firstName: "T",
      enabled: true,
      isPublic: false,
      tenantId: bearer.tenantId,
      customerId: nullId,
    });
    expect(claimsOf(refreshToken)).toMatchObject({ scopes: ["REFRESH_TOKEN"], exp: 1_700_604_800 });
    expect(JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString())).toMatchObject({ alg: "HS512" });
  });

  it("read back as the principal with the second of issue", () => {
    const { tokens } = setUp();
    const { principal, issuedAt } = tokens.readAccess(tokens.issue(bearer).token);
    const { firstName: _, lastName: __, ...expected } = bearer;
    expect(principal).toEqual(expected);
    expect(issuedAt).toBe(1_700_000_000);
  });

  it("end with their lifetime, also when they were read before", () => {
    const { tokens, clock } = setUp();
    const { token } = tokens.issue(bearer);
    tokens.readAccess(token);
    clock.now = 1_700_009_000_000;
    expect(codeOf(() => tokens.readAccess(token))).toBe("identity.expired");
  });

  it("of another key count as expired, garbage as unreadable", () => {
    const { tokens, world } = setUp();
    const foreign = new Tokens(randomBytes(64), world).issue(bearer).token;
    expect(codeOf(() => tokens.readAccess(foreign))).toBe("identity.expired");
    for (const garbage of ["abc", "a.b.c", ""]) expect(codeOf(() => tokens.readAccess(garbage))).toBe("identity.token");
  });

  it("cannot be used in place of each other", () => {
    const { tokens } = setUp();
    const { token, refreshToken } = tokens.issue(bearer);
    expect(codeOf(() => tokens.readAccess(refreshToken))).toBe("identity.anonymous");
    expect(codeOf(() => tokens.readRefresh(token))).toBe("identity.anonymous");
  });

  it("without a signature, or with a weaker algorithm of the same key, are refused", () => {
    const key = randomBytes(64);
    const world = setUp().world;
    const tokens = new Tokens(key, world);
    const payload = tokens.issue(bearer).token.split(".")[1] ?? "";
    const head = (alg: string) => Buffer.from(JSON.stringify({ alg, typ: "JWT" })).toString("base64url");
    const weaker = `${head("HS256")}.${payload}`;
    const signed = `${weaker}.${createHmac("sha256", key).update(weaker).digest("base64url")}`;
    for (const forged of [`${head("none")}.${payload}.`, signed]) {
      expect(codeOf(() => tokens.readAccess(forged))).toMatch(/^identity\./);
    }
  });
});
