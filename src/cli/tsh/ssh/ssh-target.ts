import { CodedError } from '../../../base/errors.ts';
import { parseLabels } from '../../labels.ts';

/** Where `tsh ssh` goes: one host by a name the proxy resolves, or all nodes with these labels. */
export type Target =
  | { readonly kind: 'host'; readonly login: string | undefined; readonly host: string }
  | {
      readonly kind: 'labels';
      readonly login: string | undefined;
      readonly labels: Readonly<Record<string, string>>;
    };

/** Reads `[login@]host` or `[login@]key=value[,key=value]`. @throws CodedError `bad_request`. */
export function parseTarget(text: string): Target {
  const at = text.includes('=') ? text.slice(0, text.indexOf('=')).lastIndexOf('@') : text.lastIndexOf('@');
  const login = at < 0 ? undefined : text.slice(0, at);
  const rest = text.slice(at + 1);
  if (login === '' || rest === '') throw new CodedError('bad_request', `'${text}': expected [user@]host`);
  if (rest.includes('=')) return { kind: 'labels', login, labels: parseLabels(rest) };
  return { kind: 'host', login, host: checkedNodeName(rest) };
}

/**
 * A node name for `proxy:host:port@namespace@cluster`: nothing in it can be taken for another part.
 * @throws CodedError `bad_request`.
 */
export function checkedNodeName(text: string): string {
  const host = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (/^[A-Za-z0-9_](?:[A-Za-z0-9._-]*)$/.test(host) || /^[0-9a-fA-F:.]*::?[0-9a-fA-F:.]*$/.test(host))
    return host;
  const port = /^[^:]+:(\d+)$/.exec(host)?.[1];
  throw new CodedError(
    'bad_request',
    `'${text}' is not the name of a node${port === undefined ? '' : `: give the port as -p ${port}`}`,
  );
}
