// Which screen is shown; the address says it (#/charts, #/track/7), so back and forward work.
import { route, routeTrack } from "./store.js";

export const ROUTES = { home: "Home", charts: "Charts", search: "Search", history: "History" };
export const trackAddress = (trackId) => `#/track/${trackId}`;

function read() {
  const [name, id] = location.hash.replace(/^#\//, "").split("/");
  const trackId = name === "track" && /^[1-9]\d{0,15}$/.test(id ?? "") ? Number(id) : null;
  routeTrack.value = trackId;
  route.value = trackId ? "track" : name in ROUTES ? name : "home";
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
