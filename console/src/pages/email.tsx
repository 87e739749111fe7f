export default function EmailPage() {
  return <h1>Email</h1>;
}
