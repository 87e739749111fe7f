import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

// The names are those of .ci/install-packages.sh.
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const applications = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The browser that drives the tests: CHROMIUM, else the first that is installed. */
export function chromium(): string {
  const chosen = process.env.CHROMIUM;
  if (chosen) {
    return chosen;
  }
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const found = [...names.flatMap((name) => folders.map((folder) => join(folder, name))), ...applications].find(
    isProgram,
  );
  if (found === undefined) {
    throw new Error(
      "There is no Chromium: `.ci/install-packages.sh browser` installs it, CHROMIUM=path names another.",
    );
  }
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
