import type { Plan } from "./distribution.ts";

/** The part of a plan that needs nothing of the node: drivers of queues, stores, caches and coordination. */
export function backEnds(plan: Plan): Plan {
  const ofNode = new Set(plan.units.filter(({ file }) => file === undefined).map(({ id }) => id));
  for (const id of plan.levels.flat()) {
    const unit = plan.units.find((one) => one.id === id);
    if (unit?.after.some((other) => ofNode.has(other))) ofNode.add(id);
  }
  return {
    settings: plan.settings,
    units: plan.units.filter(({ id }) => !ofNode.has(id)),
    levels: plan.levels.map((level) => level.filter((id) => !ofNode.has(id))).filter((level) => level.length > 0),
  };
}
