import { useSignal } from "@preact/signals";
import { html } from "../html.js";
import { post } from "../api.js";
import { enter } from "../session.js";

export function Login() {
  const registering = useSignal(false);
  const trouble = useSignal("");
  const busy = useSignal(false);

  async function send(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    busy.value = true;
    trouble.value = "";
    try {
      const body = { username: fields.get("username"), password: fields.get("password") };
      const session = await post(registering.value ? "accounts" : "session", body);
      await enter(session.username);
    } catch (error) {
      trouble.value = error.message;
    } finally {
      busy.value = false;
    }
  }

  const verb = registering.value ? "Create account" : "Log in";
  return html`<main class="login">
    <img src="/icon.svg" width="56" height="56" alt="" />
    <h1>Segue</h1>
    <p class="lead">Music that follows what you play, while you play it.</p>
    <form onSubmit=${send}>
      <label>User name<input name="username" autocomplete="username" required minlength="3" maxlength="64" autocapitalize="none" spellcheck=${false} autofocus /></label>
      <label>Password<input name="password" type="password" required minlength="8" maxlength="256"
        autocomplete=${registering.value ? "new-password" : "current-password"} />
        ${registering.value ? html`<small>8 characters or more</small>` : null}</label>
      <p class="trouble" role="alert">${trouble.value}</p>
      <button class="strong" disabled=${busy.value}>${verb}</button>
    </form>
    <p>${registering.value ? "You have an account?" : "New here?"} <button class="plain" onClick=${() => { registering.value = !registering.value; trouble.value = ""; }}>
      ${registering.value ? "Log in" : "Create an account"}</button></p>
  </main>`;
}
