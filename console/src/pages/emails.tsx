export default function EmailsPage() {
  return <h1>Emails</h1>;
}
