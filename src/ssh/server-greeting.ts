import type { Duplex } from 'node:stream';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { readProxyPreamble, type Preamble } from './proxy-preamble.ts';
import { askingComment, plainBanners } from './server-banner.ts';
import { newChallenge } from './signed-client.ts';

const [plainBanner] = plainBanners;

/**
 * Why a signed preamble is not believed; undefined when it is. `challenge` is the one in this connection's
 * banner.
 */
export type DoubtAboutClient = (preamble: Preamble, challenge: string) => string | undefined;

/** How a connection began, before the first byte of the client's SSH. */
export interface Greeting {
  /** Our banner as it was sent to the client, without the line end: both sides sign over it. */
  readonly banner: string;
  /** From a preamble. */
  readonly claimedAddress: HostPort | undefined;
  /** The same, when it is signed by a host that may claim it. */
  readonly believedAddress: HostPort | undefined;
  /** UUID that the first session is to have, as that host says; absent: it says nothing of it. */
  readonly sessionId?: string;
  /** The balancer that named the client to that host; absent: none did. */
  readonly balancerAddress?: HostPort;
}

/**
 * Sends the banner, and removes the preamble with which a proxy of ours may reply. The socket is left paused.
 * An unsigned preamble is only a claim: older proxies send those, and so can anyone. One with an invalid
 * signature is refused, as nobody sends that in good faith.
 * @param doubt absent: the banner does not ask for a signed address, and no preamble is believed.
 * @throws CodedError `access_denied` for a preamble with an invalid proof; `bad_request` for a malformed one;
 *   `unavailable` when the socket ends first.
 */
export async function greetClient(socket: Duplex, doubt?: DoubtAboutClient): Promise<Greeting> {
  const challenge = newChallenge();
  const banner = doubt === undefined ? plainBanner : `${plainBanner} ${askingComment(challenge)}`;
  sendBanner(socket, banner);
  const preamble = await readProxyPreamble(socket);
  const claimedAddress = preamble?.client;
  if (doubt === undefined || preamble?.proof === undefined)
    return { banner, claimedAddress, believedAddress: undefined };
  const why = doubt(preamble, challenge);
  if (why !== undefined)
    throw new CodedError(
      'access_denied',
      `the client's address, as a proxy names it, is not believed: ${why}`,
    );
  const sessionId = preamble.proof.session?.id;
  const balancerAddress = preamble.proof.balancer?.address;
  return {
    ...{ banner, claimedAddress, believedAddress: claimedAddress },
    ...(sessionId && { sessionId }),
    ...(balancerAddress && { balancerAddress }),
  };
}

/** Writes our banner, and drops the next write, which is ssh2's own banner. */
function sendBanner(socket: Duplex, banner: string): void {
  socket.write(`${banner}\r\n`);
  const write = socket.write.bind(socket);
  const first = (chunk: unknown): boolean => {
    socket.write = write;
    return String(chunk) === `${plainBanner}\r\n` || write(chunk);
  };
  socket.write = first;
}
