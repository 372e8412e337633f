/** Lists of users (rest-semantics 5.4). */
export const userRules = {
  search: ["email"],
  sort: {
    createdTime: "createdTime",
    email: "email",
    name: "email",
    firstName: "firstName",
    lastName: "lastName",
    phone: "phone",
    authority: "authority",
  },
};
