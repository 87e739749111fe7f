export default function DomainPage() {
  return <h1>Domain</h1>;
}
