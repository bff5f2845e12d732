import { BlockList, isIP } from 'node:net';
import { clientOf, type Ends } from '../base/client-of.ts';
import { CodedError } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';

/** Who sends a request, and whether its browser speaks TLS. */
export interface Origin {
  /** `ip:port`; port 0 when a balancer forwarded the address without one. */
  readonly address: string;
  /** The browser speaks TLS: it ends here, or at a listed balancer that reports it. */
  readonly secure: boolean;
  /**
   * The address is that of a balancer through which everybody comes, and the real sender is not known: the
   * balancer is not listed, or forwards no address.
   */
  readonly shared: boolean;
  /** `ip:port` of the balancer that tells this address. */
  readonly balancer?: string;
}

/** The other end of a request's socket. */
export interface RequestSocket extends Ends {
  /** True for TLS. */
  readonly encrypted?: boolean | undefined;
}

/** Load balancers whose forwarded headers count. Those of others do not: anyone can write them. */
export interface Balancers {
  includes(ip: string): boolean;
}

/**
 * @param entries addresses (`10.0.0.5`) or networks (`10.0.0.0/8`).
 * @throws CodedError `misconfigured` for any other text.
 */
export function balancersOf(entries: readonly string[]): Balancers {
  const list = new BlockList();
  for (const entry of entries) {
    const [, ip = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
    const family = familyOf(ip);
    const widest = family === 'ipv4' ? 32 : 128;
    const prefix = bits === undefined ? widest : Number(bits);
    if (family === undefined || prefix > widest)
      throw new CodedError(
        'misconfigured',
        `'${entry}' is neither an IP address nor a network like 10.0.0.0/8`,
      );
    list.addSubnet(ip, prefix, family);
  }
  return {
    includes: (ip) => {
      const family = familyOf(ip);
      return family !== undefined && list.check(ip, family);
    },
  };
}

/**
 * The machine that a request comes from: the other end of the socket; when that is a listed balancer, the
 * address that it forwarded. X-Forwarded-For is read from the right, where balancers add, and only as far as
 * listed ones wrote it. Where the balancer wrote a PROXY header, which is of the connection and no request,
 * it carries bytes and adds no headers: those that it seems to forward are the client's.
 * @param header returns a header of the request by its name in lower case.
 */
export function originOf(
  socket: RequestSocket,
  header: (name: string) => string | undefined,
  balancers: Balancers,
): Origin {
  const secure = socket.encrypted === true;
  const client = clientOf(socket);
  const from = { host: plainIp(client.address?.host ?? 'unknown'), port: client.address?.port ?? 0 };
  const address = formatHostPort(from);
  if (client.status === 'unnamed') return { address, secure, shared: true };
  const balancer = client.status === 'named' ? { balancer: formatHostPort(client.balancer) } : {};
  if (balancers.includes(from.host))
    return { ...forwardedOrigin({ from, secure }, header, balancers), ...balancer };
  return { address, secure, shared: isPrivate(from.host) && forwards(header), ...balancer };
}

/** What a listed balancer says of a request. */
function forwardedOrigin(
  { from, secure }: { readonly from: HostPort; readonly secure: boolean },
  header: (name: string) => string | undefined,
  balancers: Balancers,
): Origin {
  const at = forwardedFrom(from, header, balancers);
  const scheme = header('x-forwarded-proto')?.split(',').at(-1)?.trim().toLowerCase();
  return {
    address: formatHostPort(at),
    secure: scheme === undefined ? secure : scheme === 'https',
    shared: balancers.includes(at.host),
    ...(at === from ? {} : { balancer: formatHostPort(from) }),
  };
}

/**
 * The machine behind a listed balancer, by what this forwarded with a request; undefined where the request
 * comes from anybody else, or the balancer forwarded no address.
 */
export function clientBehind(
  socket: RequestSocket,
  header: (name: string) => string | undefined,
  balancers: Balancers,
): HostPort | undefined {
  const { status, address } = clientOf(socket);
  if (status === 'unnamed' || address === undefined) return undefined;
  const from = { host: plainIp(address.host), port: address.port };
  const at = forwardedFrom(from, header, balancers);
  return at === from || balancers.includes(at.host) ? undefined : at;
}

/** `from` itself where it is no listed balancer, or forwarded nothing. */
function forwardedFrom(
  from: HostPort,
  header: (name: string) => string | undefined,
  balancers: Balancers,
): HostPort {
  const hops = (header('x-forwarded-for') ?? '').split(',');
  let at = from;
  while (balancers.includes(at.host)) {
    const hop = readHop(hops.pop() ?? '');
    if (hop === undefined) break; // the entry is not readable: the balancer that forwarded it is all we know
    at = hop;
  }
  return at;
}

const forwardingHeaders = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'via'];

/**
 * Headers that only balancers send. Anybody can write them: they make nobody trusted, and no address
 * believed.
 */
const forwards = (header: (name: string) => string | undefined): boolean =>
  forwardingHeaders.some((name) => header(name) !== undefined);

const privateNetworks = balancersOf([
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '100.64.0.0/10',
  '::1',
  'fc00::/7',
  'fe80::/10',
]);
/**
 * Networks in which balancers usually are: no client on the internet can have such an address.
 * Source: RFC 1918, 6598, 4193.
 */
const isPrivate = (ip: string): boolean => privateNetworks.includes(ip);

/** `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:5678`. */
function readHop(text: string): HostPort | undefined {
  const trimmed = text.trim();
  const match = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::(\d{1,5}))?$/.exec(trimmed);
  const host = plainIp(match?.[1] ?? match?.[2] ?? trimmed);
  return isIP(host) === 0 ? undefined : { host, port: Number(match?.[3] ?? '0') };
}

/** IPv4 that arrives on an IPv6 socket is IPv4. */
const plainIp = (ip: string): string => ip.replace(/^::ffff:(?=\d+\.)/i, '');

function familyOf(ip: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(ip);
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6';
}
