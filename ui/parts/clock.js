// Thirty seconds to say the answer aloud. It runs here: the server is not asked, and a rerun of the page does not stop it.
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector(".tt-clock");
  const s = (button.__tt ??= { until: 0, timer: null });
  const show = () => {
    const left = Math.max(0, Math.ceil((s.until - Date.now()) / 1000));
    const over = s.until > 0 && left === 0;
    button.textContent = s.until === 0 ? `Start the clock: ${data.seconds} s` : over ? "Time. Again?" : `${left} s left. Stop`;
    button.setAttribute("aria-live", over ? "polite" : "off");
    if (over) clearInterval(s.timer);
  };
  button.onclick = () => {
    clearInterval(s.timer);
    const runs = s.until > Date.now();
    s.until = runs ? 0 : Date.now() + data.seconds * 1000;
    if (!runs) s.timer = setInterval(show, 250);
    show();
  };
  show();
  return () => clearInterval(s.timer);
}
