/**
 * Preloaded into a node under test: connections to the local ports named in ROUTES (`22200=35001,…`) go to the other
 * port, where the test has a proxy. For clients that find their servers by themselves, as those of Kafka do.
 */
import { Socket } from "node:net";

const routes = new Map((process.env["ROUTES"] ?? "").split(",").map((pair) => pair.split("=").map(Number)));
const connect = Socket.prototype.connect;

Socket.prototype.connect = function routed(...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof first === "object" && first !== null && routes.has(Number(first.port))) {
    const port = routes.get(Number(first.port));
    if (Array.isArray(args[0])) args[0][0] = { ...first, port };
    else args[0] = { ...first, port };
  }
  return connect.apply(this, args);
};
