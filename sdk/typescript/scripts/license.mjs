// Copies the licence of the repository into this package, where npm packs it from: there is one in git.
import { copyFile } from "node:fs/promises";

await copyFile(new URL("../../../LICENSE", import.meta.url), new URL("../LICENSE", import.meta.url));
