/**
 * Preloaded into a node under test: connections to the local ports named in ROUTES (`22200=35001,…`) go to the other
 * port, where the test has a proxy. For clients that find their servers by themselves, as those of Kafka do.
 */
import { Socket } from "node:net";

const routes = new Map((process.env["ROUTES"] ?? "").split(",").map((pair) => pair.split("=").map(Number)));
const connect = Socket.prototype.connect;

Socket.prototype.connect = function routed(...args) {
  // Already normalized by `net.connect`, or as `connect(options)` and `connect(port, host)` are called.
  const list = Array.isArray(args[0]) ? args[0] : args;
  const [first] = list;
  if (typeof first === "object" && first !== null) {
    const port = routes.get(Number(first.port));
    if (port !== undefined) list[0] = { ...first, port };
  } else list[0] = routes.get(Number(first)) ?? first;
  return connect.apply(this, args);
};
