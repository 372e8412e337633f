import { type EntityId, nullId } from "../model/entity.ts";
import type { Stored } from "../spi/entities.ts";
import type {
  CustomerDocument,
  DeviceCredentialsDocument,
  DeviceDocument,
  DeviceProfileDocument,
  TenantDocument,
  TenantProfileDocument,
  UserDocument,
} from "./documents.ts";

import type { OtaPackageDocument } from "./ota-packages.ts";

/**
 * Documents as REST answers and rule messages show them (rest-semantics 1.4–1.7): ids as objects, `nullId` where no
 * customer is, `name` wherever something has a title.
 */
const id = (entityType: string, value: string): EntityId => ({ entityType, id: value });
const idOrNull = (entityType: string, value: string | null): EntityId | null =>
  value === null ? null : id(entityType, value);

export function deviceView({ value, version }: Stored<DeviceDocument>) {
  return {
    id: id("DEVICE", value.id),
    createdTime: value.createdTime,
    tenantId: id("TENANT", value.tenantId),
    customerId: id("CUSTOMER", value.customerId ?? nullId),
    name: value.name,
    type: value.type,
    label: value.label,
    deviceProfileId: id("DEVICE_PROFILE", value.deviceProfileId),
    firmwareId: idOrNull("OTA_PACKAGE", value.firmwareId),
    softwareId: idOrNull("OTA_PACKAGE", value.softwareId),
    externalId: idOrNull("DEVICE", value.externalId),
    version,
    additionalInfo: value.additionalInfo,
    deviceData: value.deviceData,
  };
}

export function deviceProfileView({ value, version }: Stored<DeviceProfileDocument>) {
  return {
    id: id("DEVICE_PROFILE", value.id),
    createdTime: value.createdTime,
    tenantId: id("TENANT", value.tenantId),
    name: value.name,
    description: value.description,
    image: value.image,
    type: value.type,
    transportType: value.transportType,
    provisionType: value.provisionType,
    defaultRuleChainId: idOrNull("RULE_CHAIN", value.defaultRuleChainId),
    defaultDashboardId: idOrNull("DASHBOARD", value.defaultDashboardId),
    defaultQueueName: value.defaultQueueName,
    provisionDeviceKey: value.provisionDeviceKey,
    firmwareId: idOrNull("OTA_PACKAGE", value.firmwareId),
    softwareId: idOrNull("OTA_PACKAGE", value.softwareId),
    defaultEdgeRuleChainId: idOrNull("RULE_CHAIN", value.defaultEdgeRuleChainId),
    externalId: idOrNull("DEVICE_PROFILE", value.externalId),
    version,
    default: value.default,
    profileData: value.profileData,
  };
}

export function deviceCredentialsView({ value, version }: Stored<DeviceCredentialsDocument>) {
  const { createdTime, credentialsType, credentialsId, credentialsValue } = value;
  const deviceId = id("DEVICE", value.deviceId);
  return { id: { id: value.id }, createdTime, deviceId, credentialsType, credentialsId, credentialsValue, version };
}

export function otaPackageView({ value }: Stored<OtaPackageDocument>) {
  const { id: packageId, tenantId, deviceProfileId, dataId: _dataId, externalId: _externalId, ...rest } = value;
  return {
    id: id("OTA_PACKAGE", packageId),
    tenantId: id("TENANT", tenantId),
    deviceProfileId: idOrNull("DEVICE_PROFILE", deviceProfileId),
    ...rest,
    name: value.title,
  };
}

function contact(value: TenantDocument | CustomerDocument) {
  const { country, state, city, address, address2, zip, phone, email, title } = value;
  return { country, state, city, address, address2, zip, phone, email, title };
}

export function tenantView({ value, version }: Stored<TenantDocument>) {
  return {
    id: id("TENANT", value.id),
    createdTime: value.createdTime,
    ...contact(value),
    region: value.region,
    tenantProfileId: id("TENANT_PROFILE", value.tenantProfileId),
    version,
    name: value.title,
    additionalInfo: value.additionalInfo,
  };
}

export function tenantProfileView({ value }: Stored<TenantProfileDocument>) {
  const { id: profileId, ...rest } = value;
  return { id: id("TENANT_PROFILE", profileId), ...rest };
}

export function customerView({ value, version }: Stored<CustomerDocument>) {
  return {
    id: id("CUSTOMER", value.id),
    createdTime: value.createdTime,
    ...contact(value),
    tenantId: id("TENANT", value.tenantId),
    externalId: idOrNull("CUSTOMER", value.externalId),
    version,
    name: value.title,
    additionalInfo: value.additionalInfo,
  };
}

export function userView({ value, version }: Stored<UserDocument>) {
  return {
    id: id("USER", value.id),
    createdTime: value.createdTime,
    tenantId: id("TENANT", value.tenantId),
    customerId: id("CUSTOMER", value.customerId ?? nullId),
    email: value.email,
    authority: value.authority,
    firstName: value.firstName,
    lastName: value.lastName,
    phone: value.phone,
    version,
    name: value.email,
    additionalInfo: value.additionalInfo,
  };
}
