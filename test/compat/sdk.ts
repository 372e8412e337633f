import { pythonWith } from "./python.ts";

/** What it would install by itself when it is imported comes with it. */
const packages = [
  "tb-mqtt-client==1.13.14",
  "tb-paho-mqtt-client==2.1.2",
  "mmh3==5.3.1",
  "orjson==3.13.0",
  "requests==2.34.2",
];

/** A Python with the platform's SDK for devices and gateways. */
export const pythonWithSdk = (): string | undefined => pythonWith("tb-mqtt-client", packages);
