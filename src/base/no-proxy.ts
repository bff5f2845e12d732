import { BlockList, isIP } from 'node:net';
import { plainAddress } from './network-of.ts';
import type { HostPort } from './service.ts';

/**
 * Whether `NO_PROXY` exempts a target, by the rules that Go programs and curl share. Entries are separated
 * by commas or blanks: `*` is everything; an address or a network (CIDR) exempts addresses; `example.com`
 * that host and all below it; `.example.com` and `*.example.com` only those below it. With `:port` an entry
 * is about that port alone. What is none of these exempts nothing. Total, and pure.
 */
export const isExempt = (noProxy: string, target: HostPort): boolean =>
  noProxy
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => exempts(entry.toLowerCase(), target));

function exempts(entry: string, { host, port }: HostPort): boolean {
  if (entry === '*') return true;
  const name = bare(host);
  if (entry.includes('/')) return isIP(name) !== 0 && networkHolds(entry, name);
  const [of, digits] = splitPort(entry);
  if (digits !== undefined && Number(digits) !== port) return false;
  if (isIP(of) !== 0 || isIP(name) !== 0) return sameAddress(of, name);
  const domain = of.replace(/\.$/, '');
  const below = domain.replace(/^\*?\./, '');
  if (below === '') return false;
  return name.endsWith(`.${below}`) || (below === domain && name === domain);
}

/** Without what makes two spellings of one name: case, and the dot at the end. */
const bare = (host: string): string => plainAddress(host.toLowerCase()).replace(/\.$/, '');

const sameAddress = (a: string, b: string): boolean => isIP(a) !== 0 && networkHolds(`${a}/`, b);

/** `entry` without the port, and the port. */
function splitPort(entry: string): readonly [string, string | undefined] {
  if (isIP(entry) !== 0) return [plainAddress(entry), undefined];
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(entry) ?? [];
  return [(bracketed === undefined ? plain : plainAddress(bracketed)) ?? '', digits];
}

/** @param network `address/bits`; without bits, that address alone. */
function networkHolds(network: string, address: string): boolean {
  const [, written = '', bits = ''] = /^([^/]*)\/(\d{0,3})$/.exec(network) ?? [];
  const base = plainAddress(written);
  const family = isIP(base);
  const all = family === 4 ? 32 : 128;
  const prefix = bits === '' ? all : Number(bits);
  if (family === 0 || isIP(address) !== family || prefix > all) return false;
  const list = new BlockList();
  list.addSubnet(base, prefix, family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
