import { createContext, type ReactNode, useCallback, useContext, useState } from "react";

const shownFor = 6_000;
const ToastContext = createContext<(text: string) => void>(() => undefined);

/** Shows what was done, in a corner and to who cannot see it. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<readonly { id: number; text: string }[]>([]);
  const show = useCallback((text: string) => {
    const toast = { id: Math.random(), text };
    setToasts((all) => [...all.slice(-2), toast]);
    setTimeout(() => setToasts((all) => all.filter((t) => t !== toast)), shownFor);
  }, []);
  return (
    <ToastContext.Provider value={show}>
      {children}
      <div className="toasts" role="status" aria-label="Messages">
        {toasts.map(({ id, text }) => (
          <p key={id}>{text}</p>
        ))}
      </div>
    </ToastContext.Provider>
  );
}

/** Gives a function that tells the person what was done. */
export function useToast(): (text: string) => void {
  return useContext(ToastContext);
}
