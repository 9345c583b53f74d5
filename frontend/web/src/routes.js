// Which screen is shown; the address says it (#/charts), so back and forward work.
import { route } from "./store.js";

export const ROUTES = { home: "Home", charts: "Charts", search: "Search", history: "History" };

function read() {
  const name = location.hash.replace(/^#\//, "");
  route.value = name in ROUTES ? name : "home";
}

export function go(name) {
  if (route.value === name) document.querySelector("#q")?.focus();
  location.hash = `#/${name}`;
}

export function follow() {
  read();
  addEventListener("hashchange", () => {
    read();
    scrollTo(0, 0);
    requestAnimationFrame(() => {
      if (route.value !== "search") document.querySelector("main h1")?.focus({ preventScroll: true });
    });
  });
}
