import { isIP } from 'node:net';
import { formatHostPort, type HostPort } from '../../base/service.ts';

/** What a host of the role Proxy announces about itself; another machine may announce anything. */
export interface TellingProxy {
  readonly hostId: string;
  readonly nodename: string;
  readonly publicAddress: string;
}

/** The part of this machine's own file about the proxy that people use. */
export interface OwnProxy {
  /** `proxy_service.public_addr`, even where the proxy itself runs elsewhere. */
  readonly publicAddresses: readonly HostPort[];
  /** How people reach the proxy of this machine; undefined when there is none. */
  readonly local: HostPort | undefined;
}

/** The address in an invite or reset link: the server there sees password and seed. */
export type LinkAddress =
  /** From the file of this machine. */
  | { readonly status: 'own'; readonly address: string }
  /** Announced as the only address by all proxies of this cluster. */
  | { readonly status: 'told'; readonly address: string; readonly by: readonly string[] }
  /** No address can be preferred: the operator decides. */
  | { readonly status: 'undecided'; readonly told: readonly ToldAddress[] };

export interface ToldAddress {
  readonly hostId: string;
  /** Undefined when what it announces is not a host and port. */
  readonly address: string | undefined;
}

const usualPort = 3080;
const portForm = /^(?:0|[1-9]\d{0,4})$/;
const labelForm = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const idForm = /^[0-9A-Fa-f-]{1,64}$/;

/**
 * The file of this machine decides. Without an entry there, proxies are believed only as long as all of them
 * announce the same address: otherwise a machine with the token of a proxy could redirect passwords to
 * itself.
 */
export function linkAddressOf(own: OwnProxy, proxies: readonly TellingProxy[]): LinkAddress {
  const configured = own.publicAddresses[0] ?? own.local;
  if (configured !== undefined) return { status: 'own', address: formatHostPort(configured) };
  const told = proxies.map(toldBy);
  const [first, ...others] = new Set(told.map(({ address }) => address));
  return first === undefined || others.length > 0
    ? { status: 'undecided', told }
    : { status: 'told', address: first, by: told.map(({ hostId }) => hostId) };
}

function toldBy({ hostId, nodename, publicAddress }: TellingProxy): ToldAddress {
  const id = idForm.test(hostId) ? hostId : 'a host without an id';
  return {
    hostId: id,
    address: clearAddress(publicAddress === '' ? `${nodename}:${usualPort}` : publicAddress),
  };
}

/** `host:port` with only a DNS name or an IP address and a number; undefined for any other text. */
function clearAddress(text: string): string | undefined {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const isHost = bracketed === undefined ? isDnsName(host) : isIP(host) === 6;
  if (!isHost || !portForm.test(port) || Number(port) > 65_535) return undefined;
  return formatHostPort({ host, port: Number(port) });
}

/** Source: RFC 1123, section 2.1. An IPv4 address has the same form. */
const isDnsName = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((label) => labelForm.test(label));

/** Used in a link when it is not known which proxy people use; as 4.4 prints it. */
export const unknownProxy = '<proxyhost>:3080';

/** What is printed below a link. */
export function noteOn(link: LinkAddress): readonly string[] {
  if (link.status === 'own')
    return [`NOTE: Make sure ${link.address} points at a Teleport proxy which users can access.`];
  const advice = 'Set proxy_service.public_addr in the configuration file of this machine, and it decides.';
  if (link.status === 'told')
    return [
      `NOTE: Make sure ${link.address} points at a Teleport proxy which users can access.`,
      `The proxy itself announces this address (host ${link.by.join(', ')}). ${advice}`,
    ];
  if (link.told.length === 0)
    return [
      'NOTE: No proxy is known. Put the address of the proxy that your users know into the link before you send it.',
      advice,
    ];
  return [
    'NOTE: The proxies of this cluster announce different addresses. Whoever serves this link sees the password that is set:',
    'put the address of a proxy that you know into it before you send it. They announce:',
    ...link.told.map(({ hostId, address }) => `  ${address ?? '(no host and port)'}  (host ${hostId})`),
    advice,
  ];
}
