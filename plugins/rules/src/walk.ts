import { Fault, type Msg, type Route, type Routes, type RuleTurn } from "@heddle/plugin-sdk";

/** What nodes are given with a message; one serves the whole walk. */
export class WalkTurn implements RuleTurn<string> {
  readonly signal: AbortSignal;
  readonly trace: string;

  constructor(signal: AbortSignal, trace: string) {
    this.signal = signal;
    this.trace = trace;
  }

  to(relation: string, msg: Msg): Route<string> {
    return { relation, msg };
  }

  with(msg: Msg, change: Partial<Pick<Msg, "type" | "originator" | "metadata" | "data" | "dataType">>): Msg {
    return { ...msg, ...change };
  }
}

export interface WalkHost {
  readonly hopLimit: number;
  enter(node: string, msg: Msg, turn: WalkTurn): Routes<string> | Promise<Routes<string>>;
  targets(node: string, relation: string): readonly string[];
  /** A new id for each branch where a result fans out (rule-engine 1.5). */
  branchId(): string;
  onEntered(walk: Walk): void;
  onLeft(walk: Walk): void;
}

/**
 * One message on its way through a chain. Ends when every branch has; a branch that ends in `Failure` without anybody to
 * take it fails the message.
 */
export class Walk {
  readonly #host: WalkHost;
  readonly #turn: WalkTurn;
  /** Nodes that hold the message now: named when it misses its deadline. */
  readonly #inside: string[] = [];
  readonly startedAt: number;
  #hops: number;
  #open = 0;
  #fault: unknown;
  #settle: { resolve(): void; reject(reason: unknown): void } | undefined;

  constructor(host: WalkHost, turn: WalkTurn, at: { readonly hops: number; readonly startedAt: number }) {
    this.#host = host;
    this.#turn = turn;
    this.#hops = at.hops;
    this.startedAt = at.startedAt;
  }

  /** Undefined when every branch ended without waiting; throws what failed then. */
  run(begin: (walk: Walk) => void): Promise<void> | undefined {
    this.#open = 1;
    begin(this);
    if (--this.#open === 0) {
      if (this.#fault !== undefined) throw this.#fault;
      return undefined;
    }
    this.#host.onEntered(this);
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  enter(node: string, msg: Msg): void {
    const { hopLimit } = this.#host;
    if (hopLimit > 0 && this.#hops++ >= hopLimit) {
      this.#fail(new Fault("invalid", "rule.hops", `Message is processed by more than ${hopLimit} rule nodes!`));
      return;
    }
    let routes: Routes<string> | Promise<Routes<string>>;
    try {
      routes = this.#host.enter(node, msg, this.#turn);
    } catch (error) {
      this.#failed(node, msg, error);
      return;
    }
    if (routes instanceof Promise) this.#wait(node, msg, routes);
    else if (routes !== undefined) this.leave(node, routes);
  }

  #wait(node: string, msg: Msg, routes: Promise<Routes<string>>): void {
    this.#open++;
    this.#inside.push(node);
    routes.then(
      (found) => {
        this.#back(node);
        if (found !== undefined) this.leave(node, found);
        this.#close();
      },
      (error) => {
        this.#back(node);
        this.#failed(node, msg, error);
        this.#close();
      },
    );
  }

  #back(node: string): void {
    this.#inside.splice(this.#inside.indexOf(node), 1);
  }

  leave(node: string, routes: Route<string> | readonly Route<string>[]): void {
    if (!Array.isArray(routes)) return this.#follow(node, routes as Route<string>);
    for (const route of routes as readonly Route<string>[]) this.#follow(node, route);
  }

  #follow(node: string, { relation, msg }: Route<string>): void {
    const targets = this.#host.targets(node, relation);
    const [only] = targets;
    if (targets.length === 1 && only !== undefined) return this.enter(only, msg);
    if (targets.length === 0 && relation === "Failure") {
      return this.#fail(
        new Fault("internal", "rule.failure", `rule node ${node} failed and nothing follows its Failure`),
      );
    }
    for (const target of targets) this.enter(target, { ...msg, id: this.#host.branchId() });
  }

  #failed(node: string, msg: Msg, error: unknown): void {
    const targets = this.#host.targets(node, "Failure");
    if (targets.length === 0) return this.#fail(error);
    for (const target of targets)
      this.enter(target, targets.length === 1 ? msg : { ...msg, id: this.#host.branchId() });
  }

  #fail(error: unknown): void {
    this.#fault ??= error;
  }

  #close(): void {
    if (--this.#open > 0) return;
    this.#host.onLeft(this);
    const settle = this.#settle;
    this.#settle = undefined;
    if (this.#fault === undefined) settle?.resolve();
    else settle?.reject(this.#fault);
  }

  /** The message missed its deadline: it fails, naming the node that holds it; what still returns is dropped. */
  expire(limitMs: number, nameOf: (node: string) => string): void {
    const where = this.#inside.map(nameOf).join(", ");
    const settle = this.#settle;
    this.#settle = undefined;
    this.#host.onLeft(this);
    settle?.reject(
      new Fault("internal", "rule.deadline", `message not processed within ${limitMs} ms; held by: ${where}`),
    );
  }
}
