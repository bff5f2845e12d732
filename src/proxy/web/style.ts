import { createHash } from 'node:crypto';

/** One style for all pages. The content policy admits it by its hash, so it is sent exactly as it is here. */
export const style = `
:root{color-scheme:light dark;--ink:#1b2330;--soft:#566173;--paper:#eef1f6;--card:#fff;--line:#8a94a6;--edge:#dbe1ea;--go:#1d5bbf;--on-go:#fff;--bad:#b3261e;--bad-paper:#fdecea;--code:#f3f5f9}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a7b1c0;--paper:#10141a;--card:#1a2029;--line:#6b7789;--edge:#2c3542;--go:#8ab4ff;--on-go:#0c1a33;--bad:#ff9a92;--bad-paper:#3a1f1e;--code:#11161d}}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem 1rem;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
.name{max-width:31rem;margin:1rem auto .75rem;color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}
main{max-width:31rem;margin:0 auto;padding:1.75rem;background:var(--card);border:1px solid var(--edge);border-radius:.75rem;box-shadow:0 1px 3px #0000001a}
h1{font-size:1.45rem;line-height:1.25;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:1.75rem 0 .5rem;padding-top:1.25rem;border-top:1px solid var(--edge)}
p{margin:.5rem 0}
ol{margin:.5rem 0;padding-left:1.25rem}
.soft{color:var(--soft);font-size:.92rem}
.bad{color:var(--bad);margin:.35rem 0 0;font-weight:600}
.note{color:var(--bad);background:var(--bad-paper);border-left:4px solid var(--bad);padding:.6rem .8rem;border-radius:.3rem;font-weight:600}
label{display:block;margin:1.1rem 0 .3rem;font-weight:600}
input{width:100%;padding:.65rem .75rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);border-radius:.4rem}
input[aria-invalid=true]{border:2px solid var(--bad)}
input.digits{font:1.25rem/1.4 ui-monospace,Menlo,Consolas,monospace;letter-spacing:.25em}
button{margin-top:1.5rem;width:100%;padding:.75rem;font:inherit;font-weight:600;color:var(--on-go);background:var(--go);border:0;border-radius:.4rem;cursor:pointer}
button:hover{filter:brightness(1.08)}
a{color:var(--go)}
img{display:block;width:14rem;height:14rem;max-width:100%;margin:1rem auto;background:#fff;border-radius:.4rem;image-rendering:pixelated}
code,pre{font:.92rem/1.5 ui-monospace,Menlo,Consolas,monospace}
pre,.secret{margin:.6rem 0;padding:.75rem;background:var(--code);border:1px solid var(--edge);border-radius:.4rem;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
pre span{display:inline-block}
.secret{display:block;text-align:center;letter-spacing:.06em}
:focus-visible{outline:3px solid var(--go);outline-offset:2px}
@media (max-width:34rem){body{padding:0;background:var(--card)}.name{margin:0;padding:1rem 1.25rem 0}main{border:0;border-radius:0;box-shadow:none;padding:1rem 1.25rem 2rem}}
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/** Nothing from elsewhere, no script at all, no frame, and forms only to this server. */
export const contentPolicy =
  `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; form-action 'self'; ` +
  "frame-ancestors 'none'; base-uri 'none'";
