import { z } from 'zod';
import { parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { type Environment, forwardProxyFor } from '../../base/forward-proxy.ts';
import { exchange } from '../../base/http-exchange.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { signalAfter } from '../../base/timers.ts';

/** Where a proxy says that it takes links. */
export interface ProxyAnswer {
  /** In the order in which they are tried; the web address is not among them. */
  readonly tunnelAddresses: readonly HostPort[];
  /** Where it says that it takes SSH. */
  readonly sshAddresses: readonly HostPort[];
  /** Whether its web port speaks TLS, to whoever asked. */
  readonly scheme: 'https' | 'http';
}

const askMs = 4 * second;
/** Source: reference 4.4, ports. */
const usualPort = 3024;
const usualSshPort = 3023;
const mostAnswerBytes = 64 * 1024;

const answer = z.object({
  proxy: z.object({
    ssh: z.object({
      listen_addr: z.string().optional(),
      tunnel_listen_addr: z.string().optional(),
      ssh_tunnel_public_addr: z.string().optional(),
      ssh_public_addr: z.string().optional(),
      public_addr: z.string().optional(),
    }),
  }),
});

/**
 * Asks whether a proxy answers at a web address, and where it takes links. Nothing that it says is trusted,
 * and nothing secret is sent: it only says where to go next, and there the other end has to prove who it
 * is.
 * @throws CodedError `unavailable` when no proxy answers there.
 */
export async function askProxy(
  address: HostPort,
  env: Environment,
  signal: AbortSignal,
): Promise<ProxyAnswer> {
  const failures: string[] = [];
  for (const scheme of ['https', 'http'] as const)
    try {
      return read(await ask({ scheme, address, env }, signal), scheme, address);
    } catch (e) {
      failures.push(`${scheme}: ${messageOf(e)}`);
    }
  throw new CodedError(
    'unavailable',
    `no proxy answers at ${formatHostPort(address)} (${failures.join('; ')})`,
  );
}

interface Asked {
  readonly scheme: ProxyAnswer['scheme'];
  readonly address: HostPort;
  readonly env: Environment;
}

async function ask({ scheme, address, env }: Asked, signal: AbortSignal): Promise<string> {
  const { status, text } = await exchange({
    url: new URL(`${scheme}://${formatHostPort(address)}/v1/webapi/find`),
    method: 'GET',
    headers: { accept: 'application/json' },
    signal: AbortSignal.any([signal, signalAfter(askMs)]),
    maxAnswerBytes: mostAnswerBytes,
    check: { status: 'unchecked' },
    outlet: { through: forwardProxyFor(env, address, scheme) },
  });
  if (status !== 200) throw new CodedError('unavailable', `it answers ${status}`);
  return text;
}

function read(text: string, scheme: ProxyAnswer['scheme'], { host }: HostPort): ProxyAnswer {
  let said;
  try {
    said = answer.parse(JSON.parse(text)).proxy.ssh;
  } catch (cause) {
    throw new CodedError('unavailable', 'what answers there is no proxy', { cause });
  }
  return { scheme, sshAddresses: sshAddressesOf(said, host), tunnelAddresses: tunnelAddressesOf(said, host) };
}

type Said = z.infer<typeof answer>['proxy']['ssh'];

function sshAddressesOf(said: Said, host: string): readonly HostPort[] {
  const named = placeIn(said.ssh_public_addr, usualSshPort);
  if (named !== undefined) return [named];
  const port = placeIn(said.listen_addr, 0)?.port ?? 0;
  return port === 0 ? [] : [{ host, port }];
}

/** Source: reference 4.4, reverse tunnels. */
function tunnelAddressesOf(said: Said, host: string): readonly HostPort[] {
  const port = placeIn(said.tunnel_listen_addr, 0)?.port ?? 0;
  const named = placeIn(said.ssh_tunnel_public_addr, port === 0 ? usualPort : port);
  if (named !== undefined) return [named];
  if (port === 0) return [];
  const other = placeIn(said.ssh_public_addr, 0) ?? placeIn(said.public_addr, 0);
  return [...new Set([...(other === undefined ? [] : [other.host]), host])].map((one) => ({
    host: one,
    port,
  }));
}

/** Undefined for none, and for what is no address. */
function placeIn(text: string | undefined, defaultPort: number): HostPort | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return parseHostPort(text, defaultPort);
  } catch (e) {
    if (!isCoded(e)) throw e;
    return undefined;
  }
}
