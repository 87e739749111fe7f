import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { absolute, number } from "../format.js";
import { onColours } from "../theme.js";

/** A line of a plot: one value for each time, null where there is none. */
export interface Line {
  name: string;
  values: readonly (number | null)[];
}

interface PlotProps {
  /** What it shows, for its caption and for who cannot see it. */
  title: string;
  /** Seconds since 1970, rising. */
  times: readonly number[];
  lines: readonly Line[];
}

/** Lines differ by their dashes too, not by colour alone. */
const dashes: readonly number[][] = [[], [6, 3], [2, 3], [10, 3, 2, 3]];
const height = 180;

/** Lines over time, with a shared cross-hair and the numbers as a table. */
export function Plot({ title, times, lines }: PlotProps) {
  const [at, setAt] = useState<number | null>(null);
  const index = at ?? times.length - 1;
  const names = lines.map(({ name }) => name).join("\n");
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [times as number[], ...lines.map(({ values }) => values as (number | null)[])];
  const plot = useRef<uPlot>(undefined);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (box.current === null) {
      return undefined;
    }
    const drawn = draw(box.current, names.split("\n"), data.current, setAt);
    plot.current = drawn;
    const sizes = new ResizeObserver(([entry]) => {
      drawn.setSize({ width: Math.max(200, entry?.contentRect.width ?? 0), height });
    });
    sizes.observe(box.current);
    const stop = onColours(() => drawn.redraw(false, true));
    return () => {
      stop();
      sizes.disconnect();
      drawn.destroy();
    };
  }, [names]);

  useEffect(() => {
    plot.current?.setData([times as number[], ...lines.map(({ values }) => values as (number | null)[])]);
  }, [times, lines]);

  return (
    <figure className="plot">
      <figcaption>{title}</figcaption>
      <div ref={box} role="img" aria-label={`${title}. ${lines.map((line) => summary(line)).join("; ")}`} />
      <ul className="legend">
        {lines.map(({ name, values }, i) => (
          <li key={name}>
            <span className={`series-${i}`} aria-hidden="true">
              {i === 0 ? "━" : i === 1 ? "╍" : i === 2 ? "┅" : "┉"}
            </span>{" "}
            {name} <span className="value">{shown(values[index])}</span>
          </li>
        ))}
        <li className="quiet">
          {times[index] !== undefined && absolute(new Date(times[index] * 1000)).slice(0, 16)} UTC
        </li>
      </ul>
      <Numbers title={title} times={times} lines={lines} />
    </figure>
  );
}

function shown(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : number(value);
}

function summary({ name, values }: Line): string {
  const known = values.filter((v) => v !== null);
  return known.length === 0
    ? `${name}: no data`
    : `${name}: now ${shown(known.at(-1))}, at most ${number(Math.max(...known))}`;
}

const rowsShown = 120;

/** The same as a table, newest first, made only when somebody opens it. */
function Numbers({ title, times, lines }: PlotProps) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>as a table</summary>
      {open && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard (WCAG 2.1.1).
        <section className="scroll" aria-label={`${title}, as a table`} tabIndex={0}>
          <table className="dense">
            <thead>
              <tr>
                <th scope="col">Time (UTC)</th>
                {lines.map(({ name }) => (
                  <th key={name} scope="col" className="number">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times
                .map((time, i) => ({ time, i }))
                .slice(-rowsShown)
                .reverse()
                .map(({ time, i }) => (
                  <tr key={time}>
                    <td data-label="Time">{absolute(new Date(time * 1000)).slice(0, 16)}</td>
                    {lines.map(({ name, values }) => (
                      <td key={name} data-label={name} className="number">
                        {shown(values[i])}
                      </td>
                    ))}
                  </tr>
                ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}

function draw(
  box: HTMLDivElement,
  names: readonly string[],
  data: uPlot.AlignedData,
  onCursor: (index: number | null) => void,
): uPlot {
  const quiet = () => colour(box, "quiet");
  const grid = { stroke: () => colour(box, "grid"), width: 1 };
  const font = "11px Verdana, Geneva, sans-serif";
  return new uPlot(
    {
      width: Math.max(200, box.clientWidth),
      height,
      legend: { show: false },
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
      cursor: { sync: { key: "dashboard" }, drag: { x: false, y: false }, y: false },
      scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
      axes: [
        { stroke: quiet, grid, ticks: grid, font, values: (_, ticks) => ticks.map(tickOf) },
        {
          stroke: quiet,
          grid,
          ticks: grid,
          font,
          size: 56,
          values: (_, ticks) => ticks.map((v) => (Number.isInteger(v) ? number(v) : "")),
        },
      ],
      series: [
        {},
        ...names.map((label, i) => ({
          label,
          stroke: () => colour(box, `series-${i}`),
          width: 1.5,
          dash: dashes[i % dashes.length] ?? [],
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
    },
    data,
    box,
  );
}

/** A moment below a plot: "15:30", and the day where one begins: "11-25". */
export function tickOf(seconds: number): string {
  const text = new Date(seconds * 1000).toISOString();
  return seconds % 86_400 === 0 ? text.slice(5, 10) : text.slice(11, 16);
}

/** A colour of the style sheet, as a canvas takes it. */
function colour(box: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.className = name;
  box.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
