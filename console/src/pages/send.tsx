export default function SendPage() {
  return <h1>Send</h1>;
}
