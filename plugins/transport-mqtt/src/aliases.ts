/** Topic aliases of one connection (MQTT 5.0, 3.3.2.3.4). */
export class TopicAliases {
  readonly #maximum: number;
  #topics: Map<number, Buffer> | undefined;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  allows(alias: number): boolean {
    return alias >= 1 && alias <= this.#maximum;
  }

  set(alias: number, topic: Buffer): void {
    this.#topics ??= new Map();
    this.#topics.set(alias, topic);
  }

  get(alias: number): Buffer | undefined {
    return this.#topics?.get(alias);
  }
}
