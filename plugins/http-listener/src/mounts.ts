import { Fault } from "@heddle/plugin-sdk";

/** Handlers by path prefix; the longest that matches wins. */
export class Mounts<H> {
  #mounts: { readonly prefix: string; readonly handle: H }[] = [];

  /** Fault `http.mount` when the prefix is taken. */
  add(prefix: string, handle: H): Disposable {
    if (this.#mounts.some((mount) => mount.prefix === prefix)) {
      throw new Fault("invalid", "http.mount", `${prefix} is mounted already`);
    }
    const mount = { prefix, handle };
    this.#mounts = [...this.#mounts, mount].sort((a, b) => b.prefix.length - a.prefix.length);
    return {
      [Symbol.dispose]: () => {
        this.#mounts = this.#mounts.filter((other) => other !== mount);
      },
    };
  }

  /** `url` as in the request line; a prefix matches whole path segments only, unless it ends in a slash. */
  find(url: string): { readonly prefix: string; readonly handle: H } | undefined {
    for (const mount of this.#mounts) {
      const { prefix } = mount;
      if (!url.startsWith(prefix)) continue;
      const next = url.charCodeAt(prefix.length);
      if (prefix.endsWith("/") || Number.isNaN(next) || next === 0x2f || next === 0x3f) return mount;
    }
    return undefined;
  }
}
