import { invalid, Type } from "@heddle/plugin-sdk";
import { type Operation, operation } from "../operation.ts";
import { MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

/** rest-semantics 2.21; the limits are those of the accounts. */
const passwordPolicy = {
  minimumLength: 6,
  maximumLength: 72,
  minimumUppercaseLetters: null,
  minimumLowercaseLetters: null,
  minimumDigits: null,
  minimumSpecialCharacters: null,
  allowWhitespaces: true,
  forceUserToResetPasswordIfNotValid: false,
  passwordExpirationPeriodDays: null,
  passwordReuseFrequencyDays: null,
};

/** What works without signing in (rest-semantics 2.18–2.23). */
export function noAuthOperations({ accounts }: Services): Operation[] {
  return [
    operation({
      method: "GET",
      path: "/api/noauth/userPasswordPolicy",
      who: "anyone",
      run: () => ({ json: passwordPolicy }),
    }),
    operation({
      method: "GET",
      path: "/api/noauth/activate",
      who: "anyone",
      query: Type.Object({ activateToken: Type.String() }),
      run: async ({ query, call }) => {
        const state = await accounts.activationState(query.activateToken, call);
        if (state === "unknown") return { status: 409 };
        const token = encodeURIComponent(query.activateToken);
        const location = state === "good" ? `/login/createPassword?activateToken=${token}` : "/activationLinkExpired";
        return { status: 303, headers: { location } };
      },
    }),
    operation({
      method: "POST",
      path: "/api/noauth/activate",
      who: "anyone",
      body: Type.Object({ activateToken: Type.String(), password: MaybeText }),
      run: async ({ body, call }) => ({ json: await accounts.activate(body.activateToken, body.password ?? "", call) }),
    }),
    operation({
      // Always the same answer: it must not tell which addresses have an account. No mail is sent without a mail plugin.
      method: "POST",
      path: "/api/noauth/resetPasswordByEmail",
      who: "anyone",
      body: Type.Object({ email: Type.String() }),
      run: () => undefined,
    }),
    operation({
      method: "GET",
      path: "/api/noauth/resetPassword",
      who: "anyone",
      query: Type.Object({ resetToken: Type.String() }),
      run: () => ({ status: 409 }),
    }),
    operation({
      method: "POST",
      path: "/api/noauth/resetPassword",
      who: "anyone",
      body: Type.Object({ resetToken: Type.String(), password: MaybeText }),
      run: () => {
        throw invalid("Invalid reset token!");
      },
    }),
    operation({
      // No provider can be configured yet, so there is nothing to choose from.
      method: "POST",
      path: "/api/noauth/oauth2Clients",
      who: "anyone",
      run: () => ({ json: [] }),
    }),
  ];
}
