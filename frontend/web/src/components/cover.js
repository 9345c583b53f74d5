// A picture for tracks that have none: shapes and a fixed palette, chosen by artist and track.
import { html } from "../html.js";

const PALETTE = [
  ["#27306f", "#5560d8", "#ffc65c"], ["#5a2340", "#b8446f", "#ffd9a0"], ["#17443f", "#2f8f7c", "#f4e3a1"],
  ["#3d2a63", "#8257c9", "#8fe3d2"], ["#5b3216", "#c4752c", "#fbe6c2"], ["#173a56", "#3786b8", "#f7b2a0"],
  ["#433f1a", "#938a2e", "#f2f0d0"], ["#4a1f24", "#c05a4b", "#bfe3ef"],
];

function mixed(number) {
  let value = Math.imul((number % 4294967291) ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35) >>> 0;
  return (value ^ (value >>> 16)) >>> 0;
}

export function Cover({ track, dim = false }) {
  const [back, middle, front] = PALETTE[mixed(track.artist_id ?? track.track_id) % PALETTE.length];
  const seed = mixed(track.track_id);
  const x = 10 + (seed & 31), y = 12 + ((seed >>> 5) & 31), r = 9 + ((seed >>> 10) & 15);
  const turn = ((seed >>> 14) & 7) * 45;
  return html`<svg class=${dim ? "cover dim" : "cover"} viewBox="0 0 56 56" aria-hidden="true" focusable="false">
    <rect width="56" height="56" fill=${back} />
    <g transform="rotate(${turn} 28 28)">
      ${seed & 1 ? html`<path d="M-10 ${y + 10}q20 -26 38 -4t40 -6v60h-80z" fill=${middle} />`
    : html`<rect x=${x - 6} y="-10" width=${r + 12} height="80" fill=${middle} />`}
      <circle cx=${x} cy=${y} r=${r * 0.62} fill=${front} />
    </g></svg>`;
}
