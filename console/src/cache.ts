import { isProblem } from "@mailserver-dev/sdk";
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { session } from "./session.js";

/** Ends the session on the page's side when the server does not know it any more: the router then asks to sign in again. */
function onError(error: unknown): void {
  if (isProblem(error) && error.status === 401 && session.state().user !== undefined) {
    session.end();
  }
}

/** What was read, for all pages. The SDK retries by itself, so nothing here does. */
export const cache = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: { retry: false, staleTime: 2_000, networkMode: "always" },
    // What was done may have carried a password or a key: nothing keeps it once its page is left.
    mutations: { retry: false, networkMode: "always", gcTime: 0 },
  },
});

let reader: string | undefined;

/**
 * What one person read is not for the next: neither for who signs in after them in this tab, nor for who signed in in another tab,
 * whose session the cookie has become. Pages that are open read anew.
 */
session.subscribe(() => {
  const id = session.state().user?.id;
  if (id === undefined || id === reader) {
    return;
  }
  if (reader !== undefined) {
    cache.removeQueries({ type: "inactive" });
    void cache.resetQueries();
  }
  reader = id;
});
