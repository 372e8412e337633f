import { Fault, invalid, Type, userView } from "@heddle/plugin-sdk";
import { everyone, type Operation, operation } from "../operation.ts";
import { MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const Loose = Type.Unknown();
const Passwords = Type.Object({ currentPassword: MaybeText, newPassword: MaybeText });

/** A member that is a text and not blank; whatever else is sent to sign in counts as nothing. */
function textOf(body: unknown, name: string): string {
  const value = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[name] : undefined;
  if (typeof value !== "string" || value.trim() === "") {
    throw new Fault("denied", "identity.anonymous", "Authentication failed");
  }
  return value;
}

const signIn = { method: "POST", who: "anyone", body: Loose, anyType: true, brokenBody: {} } as const;

/** Signing in and out (rest-semantics 2). */
export function authOperations({ accounts, directory }: Services): Operation[] {
  return [
    operation({
      ...signIn,
      path: "/api/auth/login",
      run: async ({ body, call }) => {
        const email = textOf(body, "username");
        return { json: await accounts.login(email, textOf(body, "password"), call) };
      },
    }),
    operation({
      ...signIn,
      path: "/api/auth/login/public",
      run: async ({ body, call }) => ({ json: await accounts.loginPublic(textOf(body, "publicId"), call) }),
    }),
    operation({
      ...signIn,
      path: "/api/auth/token",
      run: async ({ body, call }) => ({ json: await accounts.refresh(textOf(body, "refreshToken"), call) }),
    }),
    operation({
      method: "POST",
      path: "/api/auth/logout",
      who: everyone,
      run: async ({ principal, call }) => {
        await accounts.logout(principal, call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/auth/user",
      who: everyone,
      run: async ({ principal, call }) => {
        const user = await directory.users.get(principal.userId, call);
        if (user === undefined) throw new Fault("missing", "record.missing", "Requested item wasn't found!");
        return { json: userView(user) };
      },
    }),
    operation({
      method: "POST",
      path: "/api/auth/changePassword",
      who: everyone,
      body: Passwords,
      run: async ({ principal, body, call }) => {
        if (principal.isPublic) throw invalid("The public user has no password");
        const passwords = { current: body.currentPassword ?? "", next: body.newPassword ?? undefined };
        return { json: await accounts.changePassword(principal, passwords, call) };
      },
    }),
  ];
}
