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
    mutations: { retry: false, networkMode: "always" },
  },
});
