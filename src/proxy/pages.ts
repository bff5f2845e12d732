import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** One style for all pages; the policy admits it by its hash, so it goes out exactly as it stands here. */
export const style = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#f4f6f9;--card:#fff;--line:#d5dbe3;--go:#1f5fbf;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a3adbb;--paper:#12161c;--card:#1b212a;--line:#343d4a;--go:#6aa5ff;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:30rem;margin:2rem auto;padding:1.5rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
@media (max-width:32rem){main{margin:0;border:0;border-radius:0;min-height:100vh}}
h1{font-size:1.35rem;margin:0 0 .5rem}
p{margin:.5rem 0}
.soft{color:var(--soft);font-size:.92rem}
label{display:block;margin:1rem 0 .25rem;font-weight:600}
input{width:100%;padding:.6rem .7rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);border-radius:.4rem}
input[aria-invalid=true]{border-color:var(--bad)}
.bad{color:var(--bad);margin:.25rem 0 0}
button{margin-top:1.25rem;width:100%;padding:.7rem;font:inherit;font-weight:600;color:#fff;background:#1f5fbf;border:0;border-radius:.4rem}
img{display:block;width:14rem;height:14rem;margin:1rem auto;background:#fff;padding:.5rem;border-radius:.4rem}
code,pre{font:.92rem/1.45 ui-monospace,monospace}
pre{white-space:pre-wrap;word-break:break-all;padding:.75rem;border:1px solid var(--line);border-radius:.4rem}
:focus-visible{outline:3px solid var(--go);outline-offset:2px}
`;

function page(title: string, content: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${raw(`<style>${style}</style>`)}
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html>`;
}

export interface FormFields {
  readonly username: string;
  readonly clusterName: string;
  readonly purpose: 'invite' | 'reset';
  readonly csrf: string;
  /** Undefined when the cluster asks for no second factor. */
  readonly otp: { readonly qrDataUri: string; readonly secret: string } | undefined;
  /** What was wrong with the last try. */
  readonly fault?: { readonly field: 'password' | 'again' | 'code' | 'form'; readonly message: string };
}

/** The page behind an invite or reset link. Works without JavaScript. */
export function credentialsPage(fields: FormFields): Html {
  const { username, clusterName, purpose, csrf, otp, fault } = fields;
  const title = purpose === 'invite' ? `Welcome to ${clusterName}` : `New password for ${clusterName}`;
  const faultOf = (field: string): Html =>
    fault?.field === field
      ? html`<p class="bad" id="${field}-fault" role="alert">${fault.message}</p>`
      : html``;
  const invalid = (field: string): Html =>
    fault?.field === field ? html`aria-invalid="true" aria-describedby="${field}-fault"` : html``;
  return page(
    title,
    html`<h1>${title}</h1>
      <p>
        You are <strong>${username}</strong>. Choose a
        password${otp ? ' and add this account to your authenticator' : ''}.
      </p>
      ${faultOf('form')}
      <form method="post" autocomplete="on">
        <input type="hidden" name="csrf" value="${csrf}" />
        <input type="text" name="username" value="${username}" autocomplete="username" hidden readonly />
        <label for="password">Password <span class="soft">(at least 6 characters)</span></label>
        <input
          id="password"
          name="password"
          type="password"
          autocomplete="new-password"
          required
          autofocus
          ${invalid('password')}
        />
        ${faultOf('password')}
        <label for="again">The same again</label>
        <input
          id="again"
          name="again"
          type="password"
          autocomplete="new-password"
          required
          ${invalid('again')}
        />
        ${faultOf('again')} ${otp ? otpPart(otp, faultOf('code'), invalid('code')) : ''}
        <button type="submit">${purpose === 'invite' ? 'Create account' : 'Set password'}</button>
      </form>`,
  );
}

const otpPart = (otp: NonNullable<FormFields['otp']>, fault: Html, invalid: Html): Html =>
  html`<label for="code">Code of your authenticator</label>
    <p class="soft">
      Scan this with any authenticator application, or type the secret below it. Then enter the six digits it
      shows.
    </p>
    <img src="${otp.qrDataUri}" alt="QR code with the one-time secret" width="224" height="224" />
    <p class="soft">Secret: <code>${otp.secret}</code></p>
    <input
      id="code"
      name="code"
      inputmode="numeric"
      autocomplete="one-time-code"
      pattern="[0-9]{6}"
      maxlength="6"
      required
      ${invalid}
    />
    ${fault}`;

export const donePage = (fields: { username: string; clusterName: string; proxyAddress: string }): Html =>
  page(
    'Done',
    html`<h1>Done, ${fields.username}</h1>
      <p>Your password for ${fields.clusterName} is set. Log in from a terminal:</p>
      <pre>tsh login --proxy=${fields.proxyAddress} --user=${fields.username}</pre>
      <p class="soft">Then <code>tsh ls</code> shows the machines you may use.</p>`,
  );

export const messagePage = (title: string, message: string): Html =>
  page(
    title,
    html`<h1>${title}</h1>
      <p>${message}</p>`,
  );

export const landingPage = (fields: { clusterName: string; proxyAddress: string }): Html =>
  page(
    fields.clusterName,
    html`<h1>${fields.clusterName}</h1>
      <p>This is the door to an SSH cluster. Log in from a terminal:</p>
      <pre>tsh login --proxy=${fields.proxyAddress}</pre>
      <p class="soft">No account yet? Ask an operator for an invitation.</p>`,
  );
