export default function UserNewPage() {
  return <h1>UserNew</h1>;
}
