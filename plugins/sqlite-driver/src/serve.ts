import { type MessagePort, parentPort, receiveMessageOnPort, type TransferListItem } from "node:worker_threads";
import { classify } from "./database.ts";
import { type Answer, type Call, type Trouble, WorkerTrouble } from "./trouble.ts";

/** One call from the main thread; exactly one of `reply` and `fail` answers it. */
export interface Request {
  readonly op: string;
  readonly arg: unknown;
  reply(value: unknown, transfer?: readonly TransferListItem[]): void;
  fail(error: unknown): void;
}

/**
 * Hands over all calls that wait, in order: what arrived while a commit ran comes as one list, and shares the next one.
 */
export function serve(handle: (requests: readonly Request[]) => void): void {
  const port = parentPort;
  if (port === null) throw new Error("sqlite-driver: serve runs in a worker thread only");
  port.on("message", (first: readonly Call[]) => {
    const requests = first.map((call) => request(port, call));
    for (let more = receiveMessageOnPort(port); more !== undefined; more = receiveMessageOnPort(port)) {
      for (const call of more.message as readonly Call[]) requests.push(request(port, call));
    }
    handle(requests);
  });
}

function request(port: MessagePort, { id, op, arg }: Call): Request {
  const answer = (content: Answer, transfer: readonly TransferListItem[] = []) => port.postMessage(content, transfer);
  return {
    op,
    arg,
    reply: (value, transfer) => answer({ id, value }, transfer),
    fail: (error) => answer({ id, error: trouble(error) }),
  };
}

function trouble(error: unknown): Trouble {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof WorkerTrouble) return { trouble: error.trouble, message, data: error.data };
  return { trouble: classify(error), message, data: undefined };
}
