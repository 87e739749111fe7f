import type { StatsCounts, StatsOverview, StatsSeries, StatsTimeseries } from "@mailserver-dev/sdk";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { bytes, duration, number } from "../format.js";
import { useStream } from "../live.js";
import { type Range, stats } from "../queries.js";
import { Loading } from "../ui/listing.js";
import { LiveNote } from "../ui/live.js";
import { type Line, Plot } from "../ui/plot.js";
import { ProblemNote } from "../ui/problem.js";

const route = getRouteApi("/inside/");
const ranges: readonly Range[] = ["hour", "day", "week", "month"];

const flow = ["received", "accepted", "delivered"] as const;
const trouble = ["queue_depth", "deferred", "bounced", "failed"] as const;

const words: Partial<Record<StatsSeries["metric"], string>> = { queue_depth: "waiting in the queue" };

export default function DashboardPage() {
  const cache = useQueryClient();
  const overview = useQuery(stats.overview());
  const live = useStream({ type: ["stats.tick"] }, (event) => {
    if (event.kind === "stats") {
      cache.setQueryData(stats.overview().queryKey, event.data);
    }
  });
  return (
    <>
      <h1>Dashboard</h1>
      <LiveNote live={live} />
      {overview.data !== undefined && <Overview of={overview.data} />}
      {overview.data === undefined && overview.isPending && <Loading what="the numbers of now" />}
      {overview.data === undefined && overview.isError && (
        <ProblemNote error={overview.error} retry={() => void overview.refetch()} />
      )}
      <History />
    </>
  );
}

function Overview({ of }: { of: StatsOverview }) {
  const { last_hour: hour, last_day: today, previous_day: before, queue, server } = of;
  const quiet = today.received + today.accepted + before.received + before.accepted === 0;
  return (
    <>
      <dl className="figures" aria-label="Now">
        <Figure name="received, last hour" value={number(hour.received)} />
        <Figure name="accepted to send, last hour" value={number(hour.accepted)} />
        <Figure name="delivered, last hour" value={number(hour.delivered)} />
        <Figure name="waiting to be sent" value={number(queue.queued + queue.sending + queue.deferred)} to="/queue" />
        <Figure name="held" value={number(queue.held)} to="/queue" />
        <Figure name="domains" value={number(of.domains)} to="/domains" />
        <Figure name="users" value={number(of.users)} to="/users" />
        <Figure name="mail stored" value={bytes(of.storage_bytes)} />
      </dl>
      {quiet && <NoMailYet />}
      <h2>The last 24 hours</h2>
      <Days today={today} before={before} />
      {server != null && (
        <p className="quiet">
          Version {server.version}, up for {duration(server.uptime_seconds)}, {bytes(server.memory_bytes)} of memory;
          connections: SMTP {number(server.connections.smtp)}, submission {number(server.connections.submission)}, IMAP{" "}
          {number(server.connections.imap)}, HTTP {number(server.connections.http)}.
        </p>
      )}
    </>
  );
}

function Figure({ name, value, to }: { name: string; value: string; to?: "/queue" | "/domains" | "/users" }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{to === undefined ? value : <Link to={to}>{value}</Link>}</dd>
    </div>
  );
}

function NoMailYet() {
  return (
    <div className="empty">
      <p>
        No mail in two days. <Link to="/send">Send a test</Link>, or from a shell:
      </p>
      <pre>{`curl -s ${location.origin}/v1/emails -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{"from":"app@demo.test","to":"alice@demo.test","subject":"hello","text":"it works"}'`}</pre>
    </div>
  );
}

const rows: readonly (readonly [keyof StatsCounts, string])[] = [
  ["received", "filed in mailboxes here"],
  ["accepted", "accepted to be sent"],
  ["delivered", "recipients delivered"],
  ["deferred", "attempts that will be repeated"],
  ["bounced", "recipients bounced"],
  ["failed", "recipients given up"],
  ["rejected", "refused at the door"],
  ["logins_failed", "failed sign-ins"],
];

function Days({ today, before }: { today: StatsCounts; before: StatsCounts }) {
  return (
    <table className="dense">
      <caption className="offscreen">Counts of the last 24 hours and of those before</caption>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col" className="number">
            24 hours
          </th>
          <th scope="col" className="number">
            before
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([key, name]) => (
          <tr key={key}>
            <th scope="row">{name}</th>
            <td className="number">{count(today[key])}</td>
            <td className="number">{count(before[key])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A number that some may not see is not 0. */
function count(value: number | null): string {
  return value === null ? "-" : number(value);
}

function History() {
  const { range: asked } = route.useSearch();
  const range = ranges.find((r) => r === asked) ?? "hour";
  return (
    <>
      <h2 id="history">Over time</h2>
      <nav aria-label="Time range" className="tools">
        {ranges.map((r) => (
          <RangeLink key={r} to={r} current={r === range} />
        ))}
      </nav>
      <Series title={`Mail, last ${range}`} range={range} metrics={flow} />
      <Series title={`Waiting and failing, last ${range}`} range={range} metrics={trouble} />
    </>
  );
}

function RangeLink({ to, current }: { to: Range; current: boolean }) {
  return current ? (
    <strong aria-current="true">last {to}</strong>
  ) : (
    <Link to="/" search={to === "hour" ? {} : { range: to }} resetScroll={false}>
      last {to}
    </Link>
  );
}

function Series({ title, range, metrics }: { title: string; range: Range; metrics: readonly StatsSeries["metric"][] }) {
  const query = useQuery(stats.series(range, [...metrics]));
  const { times, lines } = useMemo(() => plotted(query.data), [query.data]);
  if (query.data === undefined) {
    return query.isError ? (
      <ProblemNote error={query.error} retry={() => void query.refetch()} />
    ) : (
      <Loading what={title} />
    );
  }
  return <Plot title={title} times={times} lines={lines} />;
}

/** The numbers as a plot takes them. What a caller may not see is left out. */
function plotted(data: StatsTimeseries | undefined): { times: number[]; lines: Line[] } {
  const series = (data?.series ?? []).filter(({ points }) => points.some(({ value }) => value !== null));
  return {
    times: (data?.series[0]?.points ?? []).map(({ at }) => Date.parse(at) / 1000),
    lines: series.map(({ metric, points }) => ({
      name: words[metric] ?? metric,
      values: points.map(({ value }) => value),
    })),
  };
}
