import type { ActorKind, Actors, Cluster, Principal } from "@heddle/plugin-sdk";

/** Sign-ins watched at once on one node; beyond it the longest watched one ends. */
const mostWatched = 50_000;
const key = "sign-ins";

interface SignInVerbs {
  /** Without a session: every sign-in of the user. */
  ended(what: { readonly userId: string; readonly sessionId?: string }): void;
}

/** Tells every node when sign-ins end, so that open connections close. */
export class SignIns {
  readonly kind: ActorKind<SignInVerbs> = {
    kind: "sign-ins",
    placement: "node",
    activate: () => ({ ended: (what) => this.#end(what) }),
  };
  readonly #actors: Actors;
  readonly #cluster: Cluster;
  readonly #watched = new Map<string, { readonly userId: string; readonly end: AbortController }>();

  constructor({ actors, cluster }: { readonly actors: Actors; readonly cluster: Cluster }) {
    this.#actors = actors;
    this.#cluster = cluster;
  }

  watch({ userId, sessionId }: Principal): AbortSignal {
    const known = this.#watched.get(sessionId);
    if (known !== undefined) return known.end.signal;
    if (this.#watched.size >= mostWatched) this.#forget(this.#watched.keys().next().value as string);
    const end = new AbortController();
    this.#watched.set(sessionId, { userId, end });
    return end.signal;
  }

  announce(what: { readonly userId: string; readonly sessionId?: string }): void {
    this.#end(what);
    for (const node of this.#cluster.members) {
      if (node !== this.#cluster.self) this.#actors.at(node, this.kind, key).tell("ended", what);
    }
  }

  #end({ userId, sessionId }: { readonly userId: string; readonly sessionId?: string }): void {
    if (sessionId !== undefined) return this.#forget(sessionId);
    for (const [session, watched] of this.#watched) if (watched.userId === userId) this.#forget(session);
  }

  #forget(sessionId: string): void {
    const watched = this.#watched.get(sessionId);
    this.#watched.delete(sessionId);
    watched?.end.abort();
  }
}
