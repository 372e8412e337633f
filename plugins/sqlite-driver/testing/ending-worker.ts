import { type Request, serve } from "../src/worker.ts";

/** Answers `echo`; ends its process's thread at `crash`; `open` says which life it is by what it was given. */
serve((requests: readonly Request[]) => {
  for (const request of requests) {
    if (request.op === "crash") throw new Error("as the test wants");
    request.reply(request.arg);
  }
});
