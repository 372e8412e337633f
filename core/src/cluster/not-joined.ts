import { Fault } from "@heddle/plugin-sdk";

/** Asked of a node that is no member: it starts, or it runs no kernel. */
export const notJoined = () => new Fault("unavailable", "cluster.not-joined", "this node has not joined a cluster");
