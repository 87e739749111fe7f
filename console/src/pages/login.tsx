import { useMutation } from "@tanstack/react-query";
import { getRouteApi, Navigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { session, useSession } from "../session.js";
import { Field, Form, textOf } from "../ui/field.js";

const route = getRouteApi("/login");

export function LoginPage() {
  const { to = "/" } = route.useSearch();
  const { user } = useSession();
  const signIn = useMutation({
    mutationFn: (fields: FormData) => session.signIn(textOf(fields, "email"), String(fields.get("password") ?? "")),
  });
  useEffect(() => {
    document.title = "Sign in - mailserver";
  }, []);
  if (user !== undefined) {
    return <Navigate to={to} replace />;
  }
  return (
    <>
      <header className="bar">
        <span className="brand">mailserver</span>
      </header>
      <main className="narrow">
        <h1>Sign in</h1>
        <Form label="Sign in" submit="sign in" busy={signIn.isPending} error={signIn.error} onSubmit={signIn.mutate}>
          {/* Not of the type "email": browsers refuse jürgen@demo.test there. */}
          <Field
            label="Address"
            name="email"
            inputMode="email"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            autoFocus
          />
          <Field label="Password" name="password" type="password" autoComplete="current-password" required />
        </Form>
        <p className="quiet">
          <code>make run</code> prints an address and a password for the first time. Programs use{" "}
          <a href="/docs">the API</a> with a key.
        </p>
      </main>
    </>
  );
}
