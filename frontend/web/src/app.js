// The engine comes first: its "pagehide" must report what was heard before the outbox sends it.
import "./player/engine.js";
import { render } from "preact";
import { html } from "./html.js";
import { Help } from "./components/help.js";
import { PlayerBar } from "./components/player_bar.js";
import { Link, Messages, Unsaved } from "./components/status.js";
import { help, listen } from "./keyboard.js";
import { follow, ROUTES } from "./routes.js";
import { Charts } from "./screens/charts.js";
import { History } from "./screens/history.js";
import { Home } from "./screens/home.js";
import { Login } from "./screens/login.js";
import { Search } from "./screens/search.js";
import { Track } from "./screens/track.js";
import { leave, restore } from "./session.js";
import { route, username } from "./store.js";

const SCREENS = { home: Home, charts: Charts, search: Search, history: History, track: Track };

function Header() {
  return html`<header class="top">
    <a class="name" href="#/home"><img src="/icon.svg" width="26" height="26" alt="" />Segue</a>
    <nav aria-label="Main">${Object.entries(ROUTES).map(([name, title]) => html`<a key=${name} href="#/${name}"
      aria-current=${route.value === name ? "page" : null}>${title}</a>`)}</nav>
    <div class="state"><${Unsaved} /><${Link} />
      <button class="quiet round" onClick=${() => { help.value = true; }} aria-label="Keys" title="Keys (?)">?</button>
      <button class="plain who" onClick=${leave} title="Log out ${username.value}">Log out</button></div>
  </header>`;
}

function App() {
  if (username.value === undefined) return null;
  if (username.value === null) return html`<${Login} /><${Messages} />`;
  const Screen = SCREENS[route.value];
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("main h1")?.focus(); }}>Skip to the list</a>
    <${Header} /><main id="main"><${Screen} /></main><${Messages} /><${PlayerBar} /><${Help} />`;
}

follow();
listen();
render(html`<${App} />`, document.getElementById("app"));
restore();
