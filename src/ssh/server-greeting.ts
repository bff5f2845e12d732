import type { Duplex } from 'node:stream';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { readProxyPreamble, type Preamble } from './proxy-preamble.ts';
import { askingComment, plainBanners } from './server-banner.ts';
import { newChallenge } from './signed-client.ts';

const [plainBanner] = plainBanners;

/**
 * Why a signed preamble is not believed; undefined when it is. `challenge` is what this connection's banner
 * asked.
 */
export type DoubtAboutClient = (preamble: Preamble, challenge: string) => string | undefined;

/** How a connection began, before the first byte of the client's SSH. */
export interface Greeting {
  /** Ours, as the client was sent it, without the line end: both sides sign over it. */
  readonly banner: string;
  /** What a preamble said. */
  readonly claimedAddress: HostPort | undefined;
  /** The same, when it is signed by a host that may claim it. */
  readonly believedAddress: HostPort | undefined;
}

/**
 * Sends the banner, and takes off the preamble that a proxy of ours may answer with. The socket is left
 * paused. An unsigned preamble is only a claim: older proxies send such, and so can anyone. A signed
 * one that does not hold is refused, as it comes from nobody who means well.
 * @param doubt absent: nobody is asked for a signed address, and no preamble is believed.
 * @throws CodedError `access_denied` for a preamble with a proof that does not hold; `bad_request` for a
 * malformed one; `unavailable` when the socket ends first.
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
  return { banner, claimedAddress, believedAddress: claimedAddress };
}

/** Writes our banner, and has the first write that follows dropped: it is ssh2's own. */
function sendBanner(socket: Duplex, banner: string): void {
  socket.write(`${banner}\r\n`);
  const write = socket.write.bind(socket);
  const first = (chunk: unknown): boolean => {
    socket.write = write;
    return String(chunk) === `${plainBanner}\r\n` || write(chunk);
  };
  socket.write = first;
}
