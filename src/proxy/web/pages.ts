import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import { shellQuote } from '../../base/shell-quote.ts';
import { style } from './style.ts';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

const nothing = html``;

function page(fields: { title: string; clusterName: string }, content: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${fields.title}</title>
        ${raw(`<style>${style}</style>`)}
      </head>
      <body>
        <p class="name">Cluster <strong>${fields.clusterName}</strong></p>
        <main>${content}</main>
      </body>
    </html>`;
}

export type Field = 'password' | 'again' | 'code';

/** What was wrong with the last attempt, and with which field; `form` when with none of them. */
export interface Fault {
  readonly field: Field | 'form';
  readonly message: string;
}

export interface FormFields {
  readonly username: string;
  readonly clusterName: string;
  readonly purpose: 'invite' | 'reset';
  readonly csrf: string;
  /** Undefined when the cluster requires no second factor. */
  readonly otp: OneTimeSecret | undefined;
  readonly fault?: Fault;
}

export interface OneTimeSecret {
  /** `data:image/png;base64,…` */
  readonly qrDataUri: string;
  /** `otpauth://…`: opens the authenticator of the device that shows the page. */
  readonly url: string;
  /** base32, for typing. */
  readonly secret: string;
}

/** The page behind an invite or reset link. Works without JavaScript. */
export function credentialsPage(fields: FormFields): Html {
  const { username, clusterName, purpose, csrf, otp, fault } = fields;
  const title = purpose === 'invite' ? `Welcome, ${username}` : `A new password for ${username}`;
  const titleBar = fault === undefined ? title : `Error: ${title}`;
  return page(
    { title: titleBar, clusterName },
    html`<h1>${title}</h1>
      <p>
        Choose the password you will log in
        with${otp ? ', and set up the codes that your authenticator will show.' : '.'}
      </p>
      ${fault?.field === 'form' ? html`<p class="note" role="alert">${fault.message}</p>` : nothing}
      <form method="post">
        <input type="hidden" name="csrf" value="${csrf}" />
        <input type="hidden" name="purpose" value="${purpose}" />
        ${otp ? html`<input type="hidden" name="shown" value="${otp.url}" />` : nothing}
        <input type="text" name="username" value="${username}" autocomplete="username" hidden readonly />
        ${secretField({ field: 'password', label: 'Password', hint: 'At least 6 characters.', fault })}
        ${secretField({ field: 'again', label: 'The same password again', fault })}
        ${otp ? otpPart(otp, fault) : nothing}
        <button type="submit">${purpose === 'invite' ? 'Create account' : 'Set password'}</button>
      </form>`,
  );
}

/** Marks the field that was wrong, ties it to the message below it, and puts the cursor there. */
function stateOf(field: Field, fault: Fault | undefined, hintId?: string): Html {
  const isWrong = fault?.field === field;
  const described = [hintId, isWrong ? `${field}-fault` : undefined].filter((id) => id !== undefined);
  const focused = isWrong || (field === 'password' && (fault === undefined || fault.field === 'form'));
  return html`${described.length > 0 ? html`aria-describedby="${described.join(' ')}"` : nothing}
  ${isWrong ? html`aria-invalid="true"` : nothing} ${focused ? html`autofocus` : nothing}`;
}

const messageOf = (field: Field, fault: Fault | undefined): Html =>
  fault?.field === field
    ? html`<p class="bad" id="${field}-fault" role="alert">${fault.message}</p>`
    : nothing;

function secretField(options: {
  field: Field;
  label: string;
  hint?: string;
  fault: Fault | undefined;
}): Html {
  const { field, label, hint, fault } = options;
  const hintId = hint === undefined ? undefined : `${field}-hint`;
  return html`<label for="${field}">${label}</label>
    ${hint === undefined ? nothing : html`<p class="soft" id="${hintId ?? ''}">${hint}</p>`}
    <input
      id="${field}"
      name="${field}"
      type="password"
      autocomplete="new-password"
      required
      ${stateOf(field, fault, hintId)}
    />
    ${messageOf(field, fault)}`;
}

/** In groups of four: nobody types 32 letters without losing the place. */
const grouped = (secret: string): string => secret.replace(/(.{4})(?=.)/g, '$1 ');

const otpPart = (otp: OneTimeSecret, fault: Fault | undefined): Html =>
  html`<h2>One-time codes</h2>
    <ol>
      <li>Open any authenticator application on your telephone and scan this picture.</li>
      <li>Enter the six digits that it shows.</li>
    </ol>
    <p class="soft">Each time this page is opened it shows another picture, and only the last one counts.</p>
    <img src="${otp.qrDataUri}" alt="QR code that holds the one-time secret" width="224" height="224" />
    <p class="soft">
      Nothing to scan with? <a href="${otp.url}">Open the authenticator of this device</a>, or type this
      secret into it:
    </p>
    <code class="secret">${grouped(otp.secret)}</code>
    <label for="code">Six digits</label>
    <input
      id="code"
      name="code"
      class="digits"
      inputmode="numeric"
      autocomplete="one-time-code"
      pattern="[0-9]{6}"
      maxlength="6"
      title="six digits"
      required
      ${stateOf('code', fault)}
    />
    ${messageOf('code', fault)}`;

/** Breaks between arguments only. An address contains no character that is special in a shell. */
const loginCommand = (proxyAddress: string, username: string): Html =>
  html`tsh login <span>--proxy=${proxyAddress}</span> <span>--user=${shellQuote(username)}</span>`;

export interface DoneFields {
  readonly username: string;
  readonly clusterName: string;
  readonly proxyAddress: string;
}

export const donePage = ({ username, clusterName, proxyAddress }: DoneFields): Html =>
  page(
    { title: 'Done', clusterName },
    html`<h1>Done, ${username}</h1>
      <p>Your password is set. This link is used up. Log in from a terminal:</p>
      <pre>${loginCommand(proxyAddress, username)}</pre>
      <p class="soft">Then <code>tsh ls</code> shows the machines you may use.</p>`,
  );

export const messagePage = (fields: { title: string; message: string; clusterName: string }): Html =>
  page(
    fields,
    html`<h1>${fields.title}</h1>
      <p>${fields.message}</p>`,
  );

export const landingPage = (fields: { clusterName: string; proxyAddress: string }): Html =>
  page(
    { title: `SSH access to ${fields.clusterName}`, clusterName: fields.clusterName },
    html`<h1>SSH access</h1>
      <p>
        This is the proxy through which people reach the machines of this cluster. Log in from a terminal:
      </p>
      <pre>${loginCommand(fields.proxyAddress, 'you')}</pre>
      <p>
        Then <code>tsh ls</code> shows the machines you may use, and <code>tsh ssh login@machine</code> opens
        one.
      </p>
      <p class="soft">No account yet? Ask an operator of the cluster for an invitation.</p>`,
  );
