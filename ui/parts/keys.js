// The keys of a presentation. Arrows move the hero's control wherever the focus is; n and p go on and back, Esc leaves.
export default function ({ parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".tt-keys");
  const typing = (e) => /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) && e.target.type !== "range" && e.target.type !== "radio";
  const press = (event) => {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const control = document.querySelector(".st-key-hero .tt-control input");
    if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && control && document.activeElement !== control) {
      event.preventDefault();
      control[event.key === "ArrowRight" ? "stepUp" : "stepDown"]();
      control.dispatchEvent(new Event("input", { bubbles: true }));
      control.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (["n", "p", "Escape"].includes(event.key)) {
      setTriggerValue("pressed", event.key);
    }
  };
  if (root.__press) document.removeEventListener("keydown", root.__press);
  root.__press = press;
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}
