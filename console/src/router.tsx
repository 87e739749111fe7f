import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  type RouteComponent,
  redirect,
} from "@tanstack/react-router";
import { cache } from "./cache.js";
import { LoginPage } from "./pages/login.js";
import { domains, emails, queue, users } from "./queries.js";
import { session } from "./session.js";
import { Failed, NotFound, Shell } from "./shell.js";

/** What every page's route says about it. */
export interface PageData {
  /** The name in the breadcrumbs and in the window's title. The loader's `crumb` replaces it where the name is an object's. */
  crumb?: string;
}

declare module "@tanstack/react-router" {
  interface StaticDataRouteOption extends PageData {}
  interface Register {
    router: typeof router;
  }
}

const root = createRootRouteWithContext<object>()({ component: Outlet, notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  staticData: { crumb: "Sign in" },
  validateSearch: (search: Record<string, unknown>): { to?: string } => ({
    to: typeof search.to === "string" && /^\/(?![/\\])/.test(search.to) ? search.to : undefined,
  }),
  component: LoginPage,
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  component: Shell,
  beforeLoad: ({ location }) => {
    if (session.state().user === undefined) {
      throw redirect({ to: "/login", search: location.href === "/" ? {} : { to: location.href } });
    }
  },
});

/** Who has a mailbox and administers nothing would be refused here: the own mail is shown instead. */
function office(): void {
  if (session.state().user?.role === "user") {
    throw redirect({ to: "/emails" });
  }
}

const dashboard = createRoute({
  getParentRoute: () => inside,
  path: "/",
  staticData: { crumb: "Dashboard" },
  validateSearch: text("range"),
  beforeLoad: office,
  component: page(() => import("./pages/dashboard.js")),
});

const domainsRoot = createRoute({
  getParentRoute: () => inside,
  path: "/domains",
  staticData: { crumb: "Domains" },
  beforeLoad: office,
});
const domainList = createRoute({
  getParentRoute: () => domainsRoot,
  path: "/",
  validateSearch: text("name"),
  component: page(() => import("./pages/domains.js")),
});
const domainNew = createRoute({
  getParentRoute: () => domainsRoot,
  path: "/new",
  staticData: { crumb: "Add a domain" },
  component: page(() => import("./pages/domain-new.js")),
});
const domainOne = createRoute({
  getParentRoute: () => domainsRoot,
  path: "/$id",
  loader: async ({ params }) => ({ crumb: (await cache.ensureQueryData(domains.one(params.id))).name }),
  component: page(() => import("./pages/domain.js")),
});

const usersRoot = createRoute({
  getParentRoute: () => inside,
  path: "/users",
  staticData: { crumb: "Users" },
  beforeLoad: office,
});
const userList = createRoute({
  getParentRoute: () => usersRoot,
  path: "/",
  validateSearch: text("email", "domain_id", "role", "status"),
  component: page(() => import("./pages/users.js")),
});
const userNew = createRoute({
  getParentRoute: () => usersRoot,
  path: "/new",
  staticData: { crumb: "Add a user" },
  validateSearch: text("domain_id"),
  component: page(() => import("./pages/user-new.js")),
});
const userOne = createRoute({
  getParentRoute: () => usersRoot,
  path: "/$id",
  loader: async ({ params }) => ({ crumb: (await cache.ensureQueryData(users.one(params.id))).email }),
  component: page(() => import("./pages/user.js")),
});

const emailsRoot = createRoute({ getParentRoute: () => inside, path: "/emails", staticData: { crumb: "Emails" } });
const emailList = createRoute({
  getParentRoute: () => emailsRoot,
  path: "/",
  validateSearch: text("recipient", "status", "domain_id"),
  component: page(() => import("./pages/emails.js")),
});
const emailOne = createRoute({
  getParentRoute: () => emailsRoot,
  path: "/$id",
  loader: async ({ params }) => {
    const { subject } = await cache.ensureQueryData(emails.one(params.id));
    return { crumb: subject || "(no subject)" };
  },
  component: page(() => import("./pages/email.js")),
});

const queueRoot = createRoute({
  getParentRoute: () => inside,
  path: "/queue",
  staticData: { crumb: "Queue" },
  beforeLoad: office,
});
const queueList = createRoute({
  getParentRoute: () => queueRoot,
  path: "/",
  component: page(() => import("./pages/queue.js")),
});
const queueOne = createRoute({
  getParentRoute: () => queueRoot,
  path: "/$destination",
  loader: async ({ params }) => {
    await cache.ensureQueryData(queue.destination(params.destination));
    return { crumb: params.destination };
  },
  component: page(() => import("./pages/destination.js")),
});

const send = createRoute({
  getParentRoute: () => inside,
  path: "/send",
  staticData: { crumb: "Send a test" },
  component: page(() => import("./pages/send.js")),
});

const keysRoot = createRoute({
  getParentRoute: () => inside,
  path: "/api-keys",
  staticData: { crumb: "API keys" },
  beforeLoad: office,
});
const keyList = createRoute({
  getParentRoute: () => keysRoot,
  path: "/",
  validateSearch: text("revoked"),
  component: page(() => import("./pages/api-keys.js")),
});
const keyNew = createRoute({
  getParentRoute: () => keysRoot,
  path: "/new",
  staticData: { crumb: "Create a key" },
  component: page(() => import("./pages/api-key-new.js")),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    inside.addChildren([
      dashboard,
      domainsRoot.addChildren([domainList, domainNew, domainOne]),
      usersRoot.addChildren([userList, userNew, userOne]),
      emailsRoot.addChildren([emailList, emailOne]),
      queueRoot.addChildren([queueList, queueOne]),
      send,
      keysRoot.addChildren([keyList, keyNew]),
    ]),
  ]),
  context: {},
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  defaultErrorComponent: Failed,
  scrollRestoration: true,
});

// A session that ends, by a click here, in another tab or on the server, leads to the form; it leads back to this page. What was
// read for the pages before, their crumbs too, goes with it.
session.subscribe(() => {
  router.clearCache();
  void router.invalidate().then(forget);
});

/** Empties the cache when the pages are gone, unless somebody has signed in meanwhile. */
function forget(): void {
  if (session.state().user === undefined) {
    cache.removeQueries({ type: "inactive" });
  }
}

/** A page in a file of its own, read when it is needed: its default export. */
function page(read: () => Promise<{ default: RouteComponent }>): RouteComponent {
  return lazyRouteComponent(read);
}

/**
 * Takes these parameters of an address as text: ?name=123 is a number to the router. What is no text is undefined, because the router
 * lays the answer over what the address says.
 */
function text<K extends string>(...names: K[]) {
  return (search: Record<string, unknown>): { [N in K]?: string } => {
    const kept: { [N in K]?: string } = {};
    for (const name of names) {
      const value = typeof search[name] === "number" ? String(search[name]) : search[name];
      kept[name] = typeof value === "string" && value !== "" ? value : undefined;
    }
    return kept;
  };
}
