import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, type Page } from "@playwright/test";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const tags = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];
const screens = fileURLToPath(new URL("../../../.run/screens/", import.meta.url));

const wide = { width: 1280, height: 800 };
const narrow = { width: 360, height: 800 };
const narrowest = { width: 320, height: 800 };

interface Violation {
  id: string;
  help: string;
  nodes: { target: string[]; failureSummary: string }[];
}

/** What axe finds on the page as it is, one line each. The policy forbids script tags, so axe comes in through the debugger. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate(async (values): Promise<Violation[]> => {
    const { axe } = window as unknown as { axe: { run: (...args: unknown[]) => Promise<{ violations: Violation[] }> } };
    const report = await axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] });
    return report.violations;
  }, tags);
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) => `${id}: ${help}: ${target.join(" ")}: ${failureSummary.replace(/\s+/g, " ")}`,
    ),
  );
}

/** Fails on anything that axe finds, in light and in dark. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    expect.soft(await violations(page), `axe on ${new URL(page.url()).pathname}, ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** Fails when a person with a narrow screen, or a zoom of 400 %, has to scroll sideways; axe does not see that. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const { width, sticking } = await sidewaysAtNarrowest(page);
  const what = `${new URL(page.url()).pathname} at 320 px: ${sticking.join("; ")}`;
  expect.soft(width, what).toBeLessThanOrEqual(narrowest.width);
}

/** The width of the page's content on the narrowest screen, and what sticks out. */
export async function sidewaysAtNarrowest(page: Page): Promise<{ width: number; sticking: string[] }> {
  await resize(page, narrowest);
  const found = await page.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    sticking: [...document.querySelectorAll("body *")]
      .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
      .map((e) => `${e.tagName.toLowerCase()}.${e.className}: ${e.textContent?.trim().slice(0, 40)}`)
      .slice(0, 10),
  }));
  await resize(page, wide);
  return found;
}

/** Gives the page a size, and what draws itself anew a moment to follow. */
async function resize(page: Page, size: typeof wide): Promise<void> {
  await page.setViewportSize(size);
  const fits = () => document.documentElement.scrollWidth <= document.documentElement.clientWidth;
  await page.waitForFunction(fits, undefined, { timeout: 2_000 }).catch(() => undefined);
}

/** Takes the page as .run/screens/<name>-{wide,narrow,dark}.png. */
export async function shot(page: Page, name: string): Promise<void> {
  const take = (as: string) =>
    page.screenshot({ path: `${screens}${name}-${as}.png`, fullPage: true, animations: "disabled" });
  await page.emulateMedia({ colorScheme: "light" });
  await take("wide");
  await resize(page, narrow);
  await take("narrow");
  await resize(page, wide);
  await page.emulateMedia({ colorScheme: "dark" });
  await take("dark");
  await page.emulateMedia({ colorScheme: "light" });
}
