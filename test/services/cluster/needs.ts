import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { sharedService } from "../service.ts";
import { type Services, services } from "./faulty-cluster.ts";

/** A suite that needs all three services; each that is missing is named. */
export function describeWithServices(suite: (all: Services) => void): void {
  describeNeeding("zookeeper", sharedService("zookeeper")?.where, () => {
    describeNeeding("kafka", sharedService("kafka")?.where, () => {
      describeNeeding("cassandra", sharedService("cassandra")?.where, () => suite(services() as Services));
    });
  });
}
