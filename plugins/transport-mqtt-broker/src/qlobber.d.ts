declare module "qlobber" {
  /** A trie of topic filters; values are compared by identity. */
  export class Qlobber<V> {
    constructor(options: {
      readonly separator: string;
      readonly wildcard_one: string;
      readonly wildcard_some: string;
      readonly match_empty_levels: boolean;
    });
    add(filter: string, value: V): this;
    remove(filter: string, value: V): this;
    match(topic: string): V[];
  }
}
