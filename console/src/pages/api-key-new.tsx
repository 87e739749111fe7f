export default function ApiKeyNewPage() {
  return <h1>ApiKeyNew</h1>;
}
