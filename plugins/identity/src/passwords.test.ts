import { describe, expect, it } from "vitest";
import { checkPassword, drawPassword, drawText, hashPassword, verifyPassword } from "./passwords.ts";

describe("passwords", () => {
  it("are kept as salted hashes that name their algorithm and cost", async () => {
    const [one, two] = await Promise.all([hashPassword("secret-1"), hashPassword("secret-1")]);
    expect(one).toMatch(/^scrypt\$15\$8\$1\$[^$]+\$[^$]+$/);
    expect(one).not.toBe(two);
    expect(one).not.toContain("secret-1");
    expect(await verifyPassword("secret-1", one)).toBe(true);
    expect(await verifyPassword("secret-2", one)).toBe(false);
  });

  it("of nobody are wrong", async () => {
    expect(await verifyPassword("anything", undefined)).toBe(false);
  });

  it("beyond the bound of waiting ones are refused at once", async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 66 }, async () => verifyPassword("x", "scrypt$1$8$1$AAAA$AAAA")),
    );
    const refused = all.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
    expect(refused).toHaveLength(2);
    expect(refused[0]?.reason.code).toBe("identity.busy");
  });

  it("have 6 to 72 characters (rest-semantics 2.21)", () => {
    expect(() => checkPassword("abcde")).toThrow("Password must be 6 or more characters in length.");
    expect(() => checkPassword("a".repeat(73))).toThrow("Password must be no more than 72 characters in length.");
    expect(() => checkPassword(undefined)).toThrow("rawPassword cannot be null");
    expect(() => checkPassword("abcdef")).not.toThrow();
  });

  it("are drawn from their alphabet, each time another", () => {
    expect(drawText(64)).toMatch(/^[a-zA-Z0-9]{64}$/);
    expect(drawPassword()).toHaveLength(20);
    expect(drawPassword()).not.toBe(drawPassword());
  });
});
