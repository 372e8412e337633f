import { type Authority, nullId, type Principal, type World } from "@heddle/plugin-sdk";
import { createSigner, createVerifier } from "fast-jwt";
import { denied } from "./faults.ts";

/** Lifetimes in seconds (rest-semantics 2.8). */
export const accessSeconds = 9_000;
export const refreshSeconds = 604_800;
const issuer = "thingsboard.io";
const refreshScope = "REFRESH_TOKEN";
/** Verified tokens that are kept, so that a client's next request costs a lookup. */
const mostVerified = 5_000;

/** Whom a pair of tokens is made for. */
export interface Bearer extends Principal {
  readonly firstName: string | null;
  readonly lastName: string | null;
}

export interface AccessToken {
  readonly principal: Principal;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
}

export interface RefreshToken {
  readonly subject: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly isPublic: boolean;
  readonly issuedAt: number;
}

interface Claims {
  readonly sub: string;
  readonly userId: string;
  readonly scopes: readonly string[];
  readonly sessionId: string;
  readonly iat: number;
  readonly exp: number;
  readonly isPublic?: boolean;
  readonly tenantId?: string;
  readonly customerId?: string;
}

const authorities: readonly string[] = ["SYS_ADMIN", "TENANT_ADMIN", "CUSTOMER_USER"] satisfies Authority[];

/** Makes and reads tokens (rest-semantics 2.7–2.9); whether their sign-in is still good is not its business. */
export class Tokens {
  readonly #world: World;
  readonly #sign: (claims: Record<string, unknown>) => string;
  readonly #verify: (token: string) => Claims;

  constructor(key: Buffer, world: World) {
    this.#world = world;
    const algorithm = "HS512";
    this.#sign = createSigner({ key, algorithm });
    // Expiry is checked against the world's clock, below.
    this.#verify = createVerifier({ key, algorithms: [algorithm], ignoreExpiration: true, cache: mostVerified });
  }

  issue(bearer: Bearer): { readonly token: string; readonly refreshToken: string } {
    const { email, userId, sessionId, isPublic, authority, tenantId, customerId } = bearer;
    const iat = Math.floor(this.#world.now() / 1_000);
    const common = { sub: email, userId, sessionId, iss: issuer, iat, isPublic };
    const names = {
      ...(bearer.firstName === null ? {} : { firstName: bearer.firstName }),
      ...(bearer.lastName === null ? {} : { lastName: bearer.lastName }),
    };
    const access = {
      ...common,
      ...names,
      scopes: [authority],
      exp: iat + accessSeconds,
      enabled: true,
      tenantId,
      customerId,
    };
    const refresh = { ...common, scopes: [refreshScope], exp: iat + refreshSeconds, jti: this.#world.uuid() };
    return { token: this.#sign(access), refreshToken: this.#sign(refresh) };
  }

  readAccess(token: string): AccessToken {
    const claims = this.#read(token);
    const [authority = ""] = claims.scopes;
    if (!authorities.includes(authority)) throw denied("identity.anonymous");
    const principal: Principal = {
      userId: claims.userId,
      email: claims.sub,
      authority: authority as Authority,
      tenantId: claims.tenantId ?? nullId,
      customerId: claims.customerId ?? nullId,
      sessionId: claims.sessionId,
      isPublic: claims.isPublic === true,
    };
    return { principal, issuedAt: claims.iat };
  }

  readRefresh(token: string): RefreshToken {
    const { scopes, sub, userId, sessionId, isPublic, iat } = this.#read(token);
    if (!scopes.includes(refreshScope)) throw denied("identity.anonymous");
    return { subject: sub, userId, sessionId, isPublic: isPublic === true, issuedAt: iat };
  }

  #read(token: string): Claims {
    let claims: Claims;
    try {
      claims = this.#verify(token);
    } catch (error) {
      // A foreign signature answers like an old one, so that clients sign in again (rest-semantics 2.9).
      const foreign = (error as { code?: string }).code === "FAST_JWT_INVALID_SIGNATURE";
      throw denied(foreign ? "identity.expired" : "identity.token");
    }
    if (!Number.isInteger(claims.iat) || !Array.isArray(claims.scopes)) throw denied("identity.token");
    if (!(this.#world.now() < claims.exp * 1_000)) throw denied("identity.expired");
    return claims;
  }
}
