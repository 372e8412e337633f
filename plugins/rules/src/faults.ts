import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "rule.type": { kind: "invalid", help: "No plugin, or more than one, brings a rule node of this type." },
  "rule.config": { kind: "invalid", help: "The configuration of a rule node does not fit its type." },
  "rule.node-broken": { kind: "invalid", help: "A message reached a rule node that could not start." },
  "rule.no-root": { kind: "invalid", help: "The tenant has no root rule chain." },
  "rule.chain": { kind: "missing", help: "The rule chain does not exist." },
  "rule.node": { kind: "missing", help: "The rule node is not in its chain." },
  "rule.hops": { kind: "invalid", help: "A message entered more rule nodes than the limit." },
  "rule.failure": { kind: "internal", help: "A branch ended in Failure with nothing to take it." },
  "rule.deadline": {
    kind: "internal",
    help: "A message was not processed in time; the fault names the node that held it.",
  },
};
