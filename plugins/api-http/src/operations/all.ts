import type { Operation } from "../operation.ts";
import type { Services } from "../services.ts";
import { apiKeyOperations } from "./api-keys.ts";
import { applicationOperations } from "./applications.ts";
import { authOperations } from "./auth.ts";
import { bulkImportOperations } from "./bulk-import.ts";
import { claimOperations } from "./claiming.ts";
import { connectivityOperations } from "./connectivity.ts";
import { customerOperations } from "./customers.ts";
import { deviceListOperations } from "./device-lists.ts";
import { deviceProfileOperations } from "./device-profiles.ts";
import { deviceOperations } from "./devices.ts";
import { entityQueryOperations } from "./entity-queries.ts";
import { noAuthOperations } from "./no-auth.ts";
import { otaPackageOperations } from "./ota-packages.ts";
import { profileKeyOperations } from "./profile-keys.ts";
import { relationQueryOperations } from "./relation-queries.ts";
import { relationOperations } from "./relations.ts";
import { rpcOperations } from "./rpc.ts";
import { systemOperations } from "./system.ts";
import { telemetryReadOperations } from "./telemetry-read.ts";
import { telemetryWriteOperations } from "./telemetry-write.ts";
import { tenantProfileOperations } from "./tenant-profiles.ts";
import { tenantOperations } from "./tenants.ts";
import { usageOperations } from "./usage.ts";
import { userSettingsOperations } from "./user-settings.ts";
import { userOperations } from "./users.ts";

/** Every operation of the API. */
export function allOperations(services: Services): Operation[] {
  return [
    authOperations,
    noAuthOperations,
    tenantOperations,
    tenantProfileOperations,
    customerOperations,
    userOperations,
    userSettingsOperations,
    apiKeyOperations,
    applicationOperations,
    deviceOperations,
    deviceListOperations,
    deviceProfileOperations,
    profileKeyOperations,
    claimOperations,
    bulkImportOperations,
    connectivityOperations,
    otaPackageOperations,
    relationOperations,
    relationQueryOperations,
    entityQueryOperations,
    telemetryReadOperations,
    telemetryWriteOperations,
    rpcOperations,
    systemOperations,
    usageOperations,
  ].flatMap((operations) => operations(services));
}
