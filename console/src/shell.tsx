import { isProblem } from "@mailserver-dev/sdk";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useMatches, useRouter, useRouterState } from "@tanstack/react-router";
import { useEffect, useMemo, useRef } from "react";
import { useKeys } from "./keys.js";
import { session, useSession } from "./session.js";
import { useTheme } from "./theme.js";
import { ProblemNote } from "./ui/problem.js";
import { useToast } from "./ui/toast.js";

const sections = [
  { to: "/", name: "dashboard", key: "h" },
  { to: "/domains", name: "domains", key: "d" },
  { to: "/users", name: "users", key: "u" },
  { to: "/emails", name: "emails", key: "e", everybody: true },
  { to: "/queue", name: "queue", key: "q" },
  { to: "/send", name: "send a test", key: "s", everybody: true },
  { to: "/api-keys", name: "API keys", key: "k" },
] as const;

/** Who has a mailbox and administers nothing sees their own part of the same pages. */
function useSections() {
  const { user } = useSession();
  return useMemo(() => sections.filter((s) => user?.role !== "user" || "everybody" in s), [user?.role]);
}

/** What stands around every page of a signed-in person. */
export function Shell() {
  useTitle();
  const [help, showHelp] = useKeys(useSections());
  return (
    <>
      <a className="skip" href="#page">
        Skip to the page
      </a>
      <Bar />
      <Crumbs />
      <main id="page" tabIndex={-1}>
        <Outlet />
      </main>
      <Footer showHelp={showHelp} />
      {help}
    </>
  );
}

function Bar() {
  const { user } = useSession();
  return (
    <header className="bar">
      <Link to="/" className="brand">
        mailserver
      </Link>
      <nav aria-label="Sections">
        <ul>
          {useSections().map(({ to, name }) => (
            <li key={to}>
              <Link to={to} activeOptions={{ exact: to === "/" }}>
                {name}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="account">
        <span>{user?.email}</span>
        <SignOut />
      </div>
    </header>
  );
}

function SignOut() {
  const toast = useToast();
  const signOut = async () => {
    try {
      await session.signOut();
    } catch (e) {
      toast(isProblem(e) ? e.detail : "The server does not answer: you are still signed in.");
    }
  };
  return (
    <button type="button" className="plain" onClick={() => void signOut()}>
      sign out
    </button>
  );
}

/** The way to a page, from the names in the routes. */
function useTrail(): { name: string; to: string }[] {
  return useMatches().flatMap(({ staticData, loaderData, pathname, status }) => {
    const name = crumbOf(loaderData) ?? staticData.crumb ?? (status === "error" ? "Not shown" : undefined);
    return name === undefined ? [] : [{ name, to: pathname }];
  });
}

function crumbOf(loaded: unknown): string | undefined {
  return typeof loaded === "object" && loaded !== null && "crumb" in loaded ? String(loaded.crumb) : undefined;
}

function Crumbs() {
  const trail = useTrail();
  const { user } = useSession();
  const way = trail[0]?.to === "/" || user?.role === "user" ? trail : [{ name: "Dashboard", to: "/" }, ...trail];
  return (
    <nav aria-label="Breadcrumbs" className="crumbs">
      <ol>
        {way.map(({ name, to }, i) => (
          <li key={to}>
            {i === way.length - 1 ? <span aria-current="page">{name}</span> : <Link to={to}>{name}</Link>}
          </li>
        ))}
      </ol>
    </nav>
  );
}

/** The window's title follows the page; the focus too, so that a screen reader says where one is. */
function useTitle(): void {
  const trail = useTrail();
  const name = trail.at(-1)?.name ?? "Not found";
  const place = useRouterState({ select: (s) => s.resolvedLocation?.pathname });
  const first = useRef(true);
  useEffect(() => {
    document.title = `${name} - mailserver`;
  }, [name]);
  useEffect(() => {
    if (place === undefined) {
      return;
    }
    if (first.current) {
      first.current = false;
      return;
    }
    const heading = document.querySelector<HTMLElement>("main h1") ?? document.getElementById("page");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
  }, [place]);
}

function Footer({ showHelp }: { showHelp: () => void }) {
  const [theme, next] = useTheme();
  const health = useQuery({ queryKey: ["health"], queryFn: readHealth, refetchInterval: 30_000 });
  return (
    <footer>
      <span>{health.isError ? "the server does not answer" : (health.data ?? "")}</span>
      <a href="/docs">API reference</a>
      <button type="button" className="plain" onClick={next} aria-label={`Colours: ${theme}. Change.`}>
        colours: {theme}
      </button>
      <button type="button" className="plain" onClick={showHelp}>
        <kbd>?</kbd> keys
      </button>
    </footer>
  );
}

/** /health/detailed is the server's own answer, beside the API, and needs no credential. */
async function readHealth({ signal }: { signal: AbortSignal }): Promise<string> {
  const answer = await fetch("/health/detailed", { signal });
  const { components } = (await answer.json()) as { components: Record<string, string> };
  const broken = Object.entries(components).filter(([, state]) => state !== "ok");
  return broken.length === 0 ? "all components work" : `out of order: ${broken.map(([name]) => name).join(", ")}`;
}

export function NotFound() {
  const { user } = useSession();
  useEffect(() => {
    document.title = "Not found - mailserver";
  }, []);
  return (
    <>
      {user !== undefined && <Bar />}
      <nav aria-label="Breadcrumbs" className="crumbs">
        <ol>
          <li>
            <Link to="/">Dashboard</Link>
          </li>
          <li>
            <span aria-current="page">Not found</span>
          </li>
        </ol>
      </nav>
      <main>
        <h1>There is no such page</h1>
        <p>The address is mistyped, or what it named is gone.</p>
        <p>
          <Link to="/">to the dashboard</Link>
        </p>
      </main>
    </>
  );
}

/** In the place of a page whose object could not be read. */
export function Failed({ error }: { error: unknown }) {
  const router = useRouter();
  return (
    <>
      <h1>This page could not be shown</h1>
      {/* It runs the loader again; the router's own reset would show the same failure. */}
      <ProblemNote error={error} retry={() => void router.invalidate()} />
    </>
  );
}
