export { sharedFaults as faults } from "@heddle/cassandra-driver";
