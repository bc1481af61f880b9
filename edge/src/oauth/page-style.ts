// How the pages of OAuth look, by day and by night, in the playground's colours.
export const pageStyle = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f3ec, #171512); --sheet: light-dark(#fffdf8, #201d19); --ink: light-dark(#1f1b16, #f1ebe0);
  --soft: light-dark(#665e52, #b3a898); --line: light-dark(#ddd5c6, #38332c); --field: light-dark(#8d8474, #7d7466);
  --accent: light-dark(#b23a18, #ff8f6a);
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; min-block-size: 100dvh; display: grid; place-content: center; overflow-wrap: anywhere;
  background: var(--paper); color: var(--ink);
  font: 100%/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", sans-serif; }
main { inline-size: min(34rem, 100%); padding: clamp(1rem, 4vw, 2rem); background: var(--sheet);
  border: 1px solid var(--line); border-radius: .75rem; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
.soft { color: var(--soft); }
.note { padding: .75rem 1rem; border-inline-start: 4px solid var(--accent); }
fieldset { margin: 0 0 1rem; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
legend { padding: 0 .4rem; font-weight: 600; }
label { display: block; font-weight: 600; }
label.scope { display: grid; grid-template-columns: auto 1fr; gap: .75rem; padding: .5rem 0; font-weight: 400; }
input[type=checkbox] { inline-size: 1.5rem; block-size: 1.5rem; margin: 0; accent-color: var(--accent); }
input[type=password] { inline-size: 100%; min-block-size: 2.75rem; margin: .25rem 0 .5rem; padding: .5rem .8rem;
  font: inherit; color: inherit; background: var(--sheet); border: 1px solid var(--field); border-radius: .5rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
button { min-block-size: 2.75rem; padding: 0 1.15rem; font: inherit; font-weight: 550; cursor: pointer;
  color: var(--paper); background: var(--ink); border: 1px solid var(--ink); border-radius: .5rem; }
button.quiet { color: var(--ink); background: none; border-color: var(--field); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
`;
