// How the reference looks, by day and by night. It stands in the page, which names it by its digest.
export const referenceStyle = `
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, b { font-family: ui-monospace, monospace; font-size: .9em; }
code { background: var(--soft); border-radius: .2em; padding: 0 .2em; overflow-wrap: anywhere; }
nav ul { columns: 18rem; list-style: none; padding: 0; }
section { border-top: 1px solid var(--line); padding-bottom: 1rem; }
section:target { outline: 2px solid; outline-offset: .5rem; }
h2 { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
th { white-space: nowrap; }
ul ul { margin: 0; }
.scope { opacity: .8; }
`;
