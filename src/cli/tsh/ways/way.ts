import type { HostPort } from '../../../base/service.ts';
import { formatHostPort } from '../../../base/service.ts';

/**
 * How SSH reaches a proxy, best first: its SSH port; its web port, as SSH; its web port within TLS, for
 * networks that let only TLS pass; and through a request to its web port that is upgraded, for what ends
 * TLS before the proxy.
 */
export const wayKinds = ['port', 'web', 'web-tls', 'web-upgrade'] as const;
export type WayKind = (typeof wayKinds)[number];

/** The ways besides the SSH port. */
export const webWays: readonly WayKind[] = wayKinds.filter((kind) => kind !== 'port');

/** Undefined for any other text. */
export const wayKindOf = (text: unknown): WayKind | undefined => wayKinds.find((kind) => kind === text);

/** Where a proxy is. */
export interface ProxyPlaces {
  readonly ssh: HostPort;
  readonly web: HostPort;
}

/** For messages. */
export function wayText(kind: WayKind, { ssh, web }: ProxyPlaces): string {
  switch (kind) {
    case 'port':
      return formatHostPort(ssh);
    case 'web':
      return `SSH at ${formatHostPort(web)}`;
    case 'web-tls':
      return `TLS at ${formatHostPort(web)}`;
    case 'web-upgrade':
      return `https://${formatHostPort(web)}${upgradePath}`;
  }
}

export const upgradePath = '/v1/webapi/connect';

/** The remembered one first; the others in their order. Without one, the SSH port is first. */
export const inOrder = (
  remembered: WayKind | undefined,
  possible: readonly WayKind[] = wayKinds,
): readonly WayKind[] => {
  const [first, ...rest] = possible.toSorted(
    (a, b) =>
      Number(b === remembered) - Number(a === remembered) || wayKinds.indexOf(a) - wayKinds.indexOf(b),
  );
  return first === undefined ? ['port'] : [first, ...rest];
};
