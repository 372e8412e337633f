import {
  checkEmail,
  checkTexts,
  type Draft,
  invalid,
  nullId,
  requireText,
  type UserDocument,
} from "@heddle/plugin-sdk";

/** The user as it may be stored; faults with the texts of rest-semantics 6.4 and 6.8. */
export function checkUser(
  draft: Draft<UserDocument>,
  before: UserDocument | undefined,
): Omit<UserDocument, "id" | "createdTime"> {
  const email = requireText("User email", draft.email);
  checkEmail(email);
  const { authority, firstName = null, lastName = null, phone = null, additionalInfo = null } = draft;
  checkTexts({ email, firstName, lastName, phone });
  if (authority === undefined) throw invalid("User authority isn't defined!");
  const tenantId = draft.tenantId ?? nullId;
  const customerId = draft.customerId ?? null;
  switch (authority) {
    case "SYS_ADMIN":
      if (tenantId !== nullId || customerId !== null) {
        throw invalid("System administrator can't be assigned neither to tenant nor to customer!");
      }
      break;
    case "TENANT_ADMIN":
      if (tenantId === nullId) throw invalid("Tenant administrator should be assigned to tenant!");
      if (customerId !== null) throw invalid("Tenant administrator can't be assigned to customer!");
      break;
    case "CUSTOMER_USER":
      if (customerId === null) throw invalid("Customer user should be assigned to customer!");
  }
  if (before !== undefined) {
    if (before.tenantId !== tenantId) throw invalid("Can't update user tenant id!");
    if (before.authority !== authority) throw invalid("Can't update user authority!");
    if (before.customerId !== customerId) throw invalid("Can't update user customer id!");
  }
  return { tenantId, customerId, email, authority, firstName, lastName, phone, additionalInfo };
}
