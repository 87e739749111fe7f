import { isProblem } from "@mailserver-dev/sdk";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./app.css";
import { cache } from "./cache.js";
import { router } from "./router.js";
import { session } from "./session.js";
import { applyTheme } from "./theme.js";
import { ToastProvider } from "./ui/toast.js";

applyTheme();

const app = document.getElementById("app") as HTMLElement;

// Whoever was signed in still is: the cookie knows. The first page is drawn when that is clear, which is soon.
const slow = setTimeout(() => app.append("Waiting for the server…"), 1_000);
await session.restore();
clearTimeout(slow);
app.replaceChildren();

// What the server refuses is told on the page; only a fault of our own belongs into the browser's console.
const onCaughtError = (error: unknown) => isProblem(error) || console.error(error);

createRoot(app, { onCaughtError }).render(
  <StrictMode>
    <QueryClientProvider client={cache}>
      <ToastProvider>
        <RouterProvider router={router} />
      </ToastProvider>
    </QueryClientProvider>
  </StrictMode>,
);
