// What Python's last run used (ui/visit.py): the address says so, and each sweep hears its own value.
export default function ({ data }) {
  window.__ttSweeps = data.sweeps;
  // Where the reader has moved on meanwhile, the sweep itself has written the address.
  const ahead = [...document.querySelectorAll(".tt")].filter((r) => r.__tt?.agree && !r.__tt.agree()).map((r) => r.__tt.head.parameter);
  if (!location.pathname.replace(/\/$/, "").endsWith(data.page)) return; // or has gone to another page
  const meta = document.querySelector('meta[name="description"]') ?? document.head.appendChild(Object.assign(document.createElement("meta"), { name: "description" }));
  meta.content = data.description;
  const url = new URL(location.href), before = String(url.searchParams);
  for (const [key, text] of Object.entries(data.says)) {
    if (ahead.includes(key)) continue;
    if (text === null) url.searchParams.delete(key);
    else url.searchParams.set(key, text);
  }
  if (String(url.searchParams) !== before) history.replaceState(history.state, "", url);
  // Community Cloud shows the app in a frame: its own address bar follows when it is told as Streamlit tells it.
  if (parent === window || window.__ttTold === url.search) return;
  window.__ttTold = url.search;
  parent.postMessage({ stCommVersion: 1, type: "SET_QUERY_PARAM", queryParams: url.search }, "*");
}
