import type { Duplex } from 'node:stream';
import { dialOut, dialUpgraded } from '../../base/dial-out.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import { type Environment, forwardProxyFor } from '../../base/forward-proxy.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';

/** How bytes reach a proxy as they are: by TCP, or through a connection to its web port that is upgraded. */
export type Way =
  | { readonly status: 'tcp'; readonly address: HostPort }
  | { readonly status: 'upgrade'; readonly address: HostPort; readonly scheme: 'https' | 'http' };

/**
 * The ways to what a proxy serves, best first: ports of its own, its web port as it is, and upgraded.
 * @param ports those of the service in question.
 */
export const waysTo = (
  web: HostPort,
  ports: readonly HostPort[],
  scheme: 'https' | 'http',
): readonly Way[] => [
  ...[...ports, web].map((address): Way => ({ status: 'tcp', address })),
  { status: 'upgrade', address: web, scheme },
];

export const wayText = (way: Way): string =>
  way.status === 'tcp'
    ? formatHostPort(way.address)
    : `${way.scheme}://${formatHostPort(way.address)}/v1/webapi/connect`;

/**
 * A connection by this way; through an HTTP proxy, where the environment names one.
 * @throws CodedError `unavailable` with the way and the reason.
 */
export async function openWay(way: Way, env: Environment, signal: AbortSignal): Promise<Duplex> {
  try {
    return await (way.status === 'tcp' ? tcp(way.address, env, signal) : upgraded(way, env, signal));
  } catch (cause) {
    throw new CodedError('unavailable', `${wayText(way)}: ${messageOf(cause)}`, { cause });
  }
}

const tcp = async (address: HostPort, env: Environment, signal: AbortSignal): Promise<Duplex> =>
  dialOut(address, { through: forwardProxyFor(env, address, 'raw') }, signal);

/**
 * The TLS outside belongs to whatever ends it, and protects nothing of ours: it is not checked. What goes
 * through has TLS of its own.
 */
const upgraded = async (
  { address, scheme }: Extract<Way, { status: 'upgrade' }>,
  env: Environment,
  signal: AbortSignal,
): Promise<Duplex> =>
  dialUpgraded(
    {
      url: new URL(`${scheme}://${formatHostPort(address)}/v1/webapi/connect`),
      protocol: 'teleport',
      check: { status: 'unchecked' },
      outlet: { through: forwardProxyFor(env, address, scheme) },
    },
    signal,
  );
