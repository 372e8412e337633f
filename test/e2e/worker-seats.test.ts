import { connect, createServer, type Server, type Socket } from "node:net";
import { ClusterCoordinator } from "@heddle/plugin-sdk";
import { describeClusterCoordinator, realWorld } from "@heddle/plugin-sdk/testing";
import { OverSocket } from "../../core/testing/over-socket.ts";
import { StandaloneCoordinator } from "../../plugins/coordinator-standalone/src/standalone-coordinator.ts";

const leaseMs = 900;

/** Passes bytes on until it freezes, as a stopped process does: the connection stays and nothing moves. */
class Pipe {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #frozen = false;

  constructor(to: string) {
    this.#server = createServer((near) => {
      const far = connect({ path: to });
      this.#sockets.push(near, far);
      for (const [from, into] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on("error", () => into.destroy());
        from.on("close", () => into.destroy());
        from.on("data", (chunk) => {
          if (!this.#frozen) into.write(chunk);
        });
      }
    });
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen({ path }, resolve));
  }

  freeze(): void {
    this.#frozen = true;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describeClusterCoordinator("the parent's coordinator, reached by workers", {
  create: async () => {
    const socket = await OverSocket.of(ClusterCoordinator, { value: new StandaloneCoordinator(realWorld()), leaseMs });
    const pipes = [0, 1, 2].map(() => new Pipe(socket.path));
    const coordinators = [];
    for (const [i, pipe] of pipes.entries()) {
      const path = `${socket.path}-${i}`;
      await pipe.listen(path);
      coordinators.push(await socket.worker(path));
    }
    return {
      coordinators,
      isolate: async (index) => pipes[index]?.freeze(),
      leaseMs,
      [Symbol.asyncDispose]: async () => {
        for (const pipe of pipes) pipe.close();
        await socket[Symbol.asyncDispose]();
      },
    };
  },
  supports: { expiry: true, members: 3 },
});
