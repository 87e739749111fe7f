export default function DomainNewPage() {
  return <h1>DomainNew</h1>;
}
