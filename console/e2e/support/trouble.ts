import type { BrowserContext, ConsoleMessage, Page, Request, Response } from "@playwright/test";

/**
 * What must not happen while a person uses the console: an error or a warning in the browser's console, an exception, something that
 * the content security policy forbids (S-39), a refused request, a request to anybody else.
 */
export class Trouble {
  readonly found: string[] = [];
  readonly #expected: { status: number; path: RegExp }[] = [];
  readonly #origin: string;

  constructor(base: string) {
    this.#origin = new URL(base).origin;
  }

  /** The test provokes this answer of the server. */
  expect(status: number, path: RegExp): void {
    this.#expected.push({ status, path });
  }

  async watch(context: BrowserContext): Promise<void> {
    await context.exposeFunction("reportViolation", (what: string) => this.found.push(`policy violated: ${what}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (e) => {
        const report = (window as unknown as { reportViolation: (what: string) => void }).reportViolation;
        report(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`);
      });
    });
    context.on("page", (page) => this.#watchPage(page));
    context.on("console", (message) => this.#said(message));
    context.on("request", (request) => this.#asked(request));
    context.on("response", (response) => this.#answered(response));
    context.on("requestfailed", (request) => this.#failed(request));
  }

  #watchPage(page: Page): void {
    page.on("pageerror", (error) => this.found.push(`exception: ${error.stack ?? error.message}`));
  }

  #said(message: ConsoleMessage): void {
    // A refused request is judged by its answer, below.
    if (!["error", "warning"].includes(message.type()) || message.text().startsWith("Failed to load resource:")) {
      return;
    }
    this.found.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
  }

  #asked(request: Request): void {
    const { origin, protocol } = new URL(request.url());
    if (origin !== this.#origin && protocol !== "data:" && protocol !== "blob:") {
      this.found.push(`request to somebody else: ${request.method()} ${request.url()}`);
    }
  }

  #answered(response: Response): void {
    const status = response.status();
    const { pathname } = new URL(response.url());
    if (status >= 400 && !this.#expected.some((e) => e.status === status && e.path.test(pathname))) {
      this.found.push(`refused: ${response.request().method()} ${pathname} ${status}`);
    }
  }

  #failed(request: Request): void {
    const reason = request.failure()?.errorText;
    // A page that is left takes its open requests with it.
    if (reason !== "net::ERR_ABORTED") {
      this.found.push(`failed: ${request.method()} ${request.url()} ${reason}`);
    }
  }
}
