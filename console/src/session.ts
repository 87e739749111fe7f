import { createMailserver, isProblem, type Mailserver, type Session, type User } from "@mailserver-dev/sdk";
import { useSyncExternalStore } from "react";

/** Who is signed in. `user` is undefined while nobody is. */
export interface SessionState {
  readonly user: User | undefined;
}

/**
 * The signed-in session. The access token lives in memory only; the refresh cookie is out of reach of scripts. Every tab has a token
 * of its own, but all share the cookie, which changes with each use: one tab refreshes at a time.
 */
class SessionKeeper {
  readonly api: Mailserver = createMailserver({ url: "/", apiKey: (why) => this.#token(why?.rejected) });
  #access: string | undefined;
  #state: SessionState = { user: undefined };
  #refreshing: Promise<string | undefined> | undefined;
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): SessionState => this.#state;

  /** Asks whether the browser is signed in already. Without an answer nobody is. */
  async restore(): Promise<void> {
    await this.#refresh().catch(() => undefined);
  }

  async signIn(email: string, password: string): Promise<void> {
    this.#begin(await this.api.auth.createSession({ email, password }));
  }

  async signOut(): Promise<void> {
    await this.api.auth.deleteSession();
    this.end();
  }

  /** Forgets who was signed in; the server has ended the session or is about to. */
  end(): void {
    this.#access = undefined;
    this.#set({ user: undefined });
  }

  async #token(rejected: string | undefined): Promise<string | undefined> {
    if (this.#access !== undefined && this.#access !== rejected) {
      return this.#access;
    }
    return this.#state.user === undefined ? undefined : this.#refresh();
  }

  #refresh(): Promise<string | undefined> {
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refreshOnce(): Promise<string | undefined> {
    try {
      const fresh = await oneTabAtATime(() => this.api.auth.refreshSession());
      if (fresh === undefined) {
        this.end();
        return undefined;
      }
      this.#begin(fresh);
      return fresh.access_token;
    } catch (e) {
      if (isProblem(e) && e.status < 500 && e.status !== 429) {
        this.end();
      }
      throw e;
    }
  }

  #begin(fresh: Session): void {
    this.#access = fresh.access_token;
    this.#set({ user: fresh.user });
  }

  #set(next: SessionState): void {
    this.#state = next;
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** A page that came over plain http from another machine has no locks; it has the server's grace for a cookie used twice. */
function oneTabAtATime<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks === undefined ? work() : navigator.locks.request("mailserver-refresh", work);
}

export const session = new SessionKeeper();

/** The API as the signed-in user. */
export const api = session.api;

export function useSession(): SessionState {
  return useSyncExternalStore(session.subscribe, session.state);
}
