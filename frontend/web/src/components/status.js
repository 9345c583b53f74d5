import { html } from "../html.js";
import { announcement, link, message } from "../store.js";
import { unsaved } from "../outbox.js";

const LINK = {
  connecting: "Connecting", live: "Live", reconnecting: "Reconnecting",
  full: "This page is not live now; it asks again from time to time",
};

export function Link() {
  return html`<span class="link" data-link=${link.value} title=${LINK[link.value]}><span class="dot"></span>
    <span class="label">${link.value === "full" ? "Not live" : LINK[link.value]}</span></span>`;
}

export function Unsaved() {
  return html`<span class="unsaved" role="status">${unsaved.value > 0 ? `not saved yet: ${unsaved.value}` : ""}</span>`;
}

export function Messages() {
  const shown = message.value;
  const undo = () => { shown.undo(); message.value = null; };
  return html`<div class="messages">
    <div role="status" aria-live="polite">${shown ? html`<p class="message">${shown.text}
      ${shown.undo ? html` <button onClick=${undo}>Undo</button>` : null}</p>` : null}</div>
    <div class="heard-only" role="status" aria-live="polite">${announcement.value}</div></div>`;
}
