import { setMaxListeners } from "node:events";

/** A controller whose signal many wait on at once: that is no leak, so Node need not warn of it. */
export function sharedAbort(): AbortController {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  return abort;
}
