// Own icons, 24 by 24, drawn in the colour of the text.
import { html } from "../html.js";

const PATHS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  next: "M6 5.5v13l8.5-6.5zM15.5 5.5H18v13h-2.5z",
  previous: "M18 5.5v13L9.5 12zM6 5.5h2.5v13H6z",
  heart: "M12 20.3 4.2 12.6a4.9 4.9 0 0 1 6.9-7l.9.9.9-.9a4.9 4.9 0 0 1 6.9 7z",
  hide: "M4.6 3.2 3.2 4.6l3.3 3.3C4.1 9.4 2.6 12 2.6 12s3.4 6 9.4 6c1.5 0 2.9-.4 4-1l3.4 3.4 1.4-1.4zM12 16a4 4 0 0 1-3.8-5.3l1.6 1.6A2.3 2.3 0 0 0 12 14.3l1.6 1.6A4 4 0 0 1 12 16zm0-10c6 0 9.4 6 9.4 6s-.9 1.6-2.5 3.1l-3-3A4 4 0 0 0 11.9 8L9.900 6.200C10.600 6.100 11.300 6 12 6z",
  less: "M5 10.700h14v2.600H5z",
  search: "M10.500 4a6.500 6.500 0 1 0 4 11.600l4.400 4.400 1.600-1.600-4.400-4.400A6.500 6.500 0 0 0 10.500 4zm0 2.200a4.300 4.300 0 1 1 0 8.600 4.300 4.300 0 0 1 0-8.600z",
  wait: "M12 4a8 8 0 1 0 8 8h-2.400A5.600 5.600 0 1 1 12 6.400z",
};

export function Icon({ name }) {
  return html`<svg class="icon ${name === "wait" ? "turning" : ""}" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}
