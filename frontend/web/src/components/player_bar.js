import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../html.js";
import { get } from "../api.js";
import { hide, hideArtist, less } from "../actions.js";
import { dispatch, player } from "../player/engine.js";
import { current } from "../player/reducer.js";
import { trackAddress } from "../routes.js";
import { clock } from "../words.js";
import { Cover } from "./cover.js";
import { Icon } from "./icons.js";
import { LikeButton } from "./track_row.js";

const waveforms = new Map();
const WAVEFORMS_KEPT = 50;

async function waveform(trackId) {
  if (!waveforms.has(trackId)) {
    if (waveforms.size >= WAVEFORMS_KEPT) waveforms.delete(waveforms.keys().next().value);
    waveforms.set(trackId, get(`tracks/${trackId}`).then((track) => track.peaks).catch(() => []));
  }
  return waveforms.get(trackId);
}

function Waveform({ trackId, share }) {
  const peaks = useSignal([]);
  useEffect(() => {
    let wanted = true;
    peaks.value = [];
    waveform(trackId).then((found) => { if (wanted) peaks.value = found; });
    return () => { wanted = false; };
  }, [trackId]);
  const values = peaks.value;
  if (!values.length) return null;
  const bars = values.map((value, at) => {
    const height = Math.max(1.5, (value / 255) * 32);
    return `M${at} ${(32 - height) / 2}v${height}`;
  });
  const cut = Math.round(share * bars.length);
  return html`<svg class="wave" viewBox="-0.5 0 ${bars.length} 32" preserveAspectRatio="none" aria-hidden="true">
    <path class="heard" d=${bars.slice(0, cut).join("")} /><path d=${bars.slice(cut).join("")} /></svg>`;
}

export function Licence({ track }) {
  const badge = track.licence_url
    ? html`<a class="badge" href=${track.licence_url} target="_blank" rel="noopener noreferrer license">${track.licence ?? "licence"}</a>`
    : track.licence ? html`<span class="badge">${track.licence}</span>` : null;
  const source = track.source_url
    ? html` <a class="source" href=${track.source_url} target="_blank" rel="noopener noreferrer">source</a>` : null;
  return badge || source ? html`<span class="licence">${badge}${source}</span>` : null;
}

function Seek({ state, track }) {
  const to = (event) => dispatch({ type: "seek", ms: Number(event.target.value) });
  return html`<div class="seek">
    <span class="time">${clock(state.positionMs)}</span>
    <span class="line"><${Waveform} trackId=${track.track_id} share=${state.durationMs ? state.positionMs / state.durationMs : 0} />
      <input type="range" min="0" max=${Math.max(1, Math.round(state.durationMs))} step="100" value=${Math.round(state.positionMs)}
        onInput=${to} aria-label="Position" aria-valuetext="${clock(state.positionMs)} of ${clock(state.durationMs)}" /></span>
    <span class="time">${clock(state.durationMs)}</span></div>`;
}

export function PlayerBar() {
  const state = player.value;
  const track = current(state);
  if (!track) return html`<section class="player empty" aria-label="Player"><p>Choose a track. What you play changes the list.</p></section>`;
  const running = state.status === "playing" || state.status === "stalled" || state.status === "loading";
  const waiting = state.status === "loading" || state.status === "stalled";
  return html`<section class="player" aria-label="Player" data-status=${state.status} data-track=${track.track_id}>
    <div class="now"><${Cover} track=${track} />
      <div class="what"><p class="title"><a href=${trackAddress(track.track_id)}>${track.title}</a></p><p class="by">${track.artist} <${Licence} track=${track} /></p></div></div>
    <div class="controls">
      <div class="buttons">
        <button class="quiet" onClick=${() => dispatch({ type: "previous" })} aria-label="Previous" title="Previous (k)"><${Icon} name="previous" /></button>
        <button class="main" onClick=${() => dispatch({ type: "toggle" })} aria-label=${running ? "Pause" : "Play"} title="Play or pause (space)">
          <${Icon} name=${waiting ? "wait" : running ? "pause" : "play"} /></button>
        <button class="quiet" onClick=${() => dispatch({ type: "next" })} aria-label="Next" title="Next (j)"><${Icon} name="next" /></button>
      </div>
      ${state.message ? html`<p class="trouble" role="status">${state.message}</p>` : html`<${Seek} state=${state} track=${track} />`}
    </div>
    <div class="acts">
      <${LikeButton} track=${track} />
      <button class="quiet" onClick=${() => less(track)} aria-label="Fewer like ${track.title}" title="Fewer like this (x)"><${Icon} name="less" /></button>
      <button class="quiet" onClick=${() => hide(track)} aria-label="Hide ${track.title}" title="Hide (h)"><${Icon} name="hide" /></button>
      <button class="quiet words" onClick=${() => hideArtist(track)} title="Never recommend ${track.artist} again">Hide artist</button>
    </div>
  </section>`;
}
