import type { User } from "@mailserver-dev/sdk";

/** Why the signed-in person cannot change this user; undefined when it can be. */
export function whyNot(me: Pick<User, "role"> | undefined, user: Pick<User, "role">): string | undefined {
  if (me?.role === "owner" || (me?.role === "admin" && user.role === "user")) {
    return undefined;
  }
  return me?.role === "admin"
    ? "Only owners change owners and administrators."
    : "Your own account is changed by an administrator, except the password.";
}
