import { useEffect, useRef } from "preact/hooks";
import { html } from "../html.js";
import { enabled, help, setEnabled, shortcuts } from "../keyboard.js";

export function Help() {
  const dialog = useRef(null);
  const open = help.value;
  useEffect(() => {
    if (open && !dialog.current.open) dialog.current.showModal();
    if (!open && dialog.current.open) dialog.current.close();
  }, [open]);
  return html`<dialog ref=${dialog} class="help" onClose=${() => { help.value = false; }} aria-labelledby="help-title">
    <h2 id="help-title">Keys</h2>
    <dl>${shortcuts.map(({ key, name, does }) => html`<div><dt><kbd>${name ?? key}</kbd></dt><dd>${does}</dd></div>`)}</dl>
    <label class="check"><input type="checkbox" checked=${enabled.value} onChange=${(event) => setEnabled(event.target.checked)} /> Keys act on the player</label>
    <p>Like, hide and fewer act on the row that has the focus, else on the playing track.</p>
    <form method="dialog"><button class="strong">Close</button></form></dialog>`;
}
