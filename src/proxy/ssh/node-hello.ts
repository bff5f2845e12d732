import type { Duplex } from 'node:stream';
import { CodedError } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';
import { proxyPreamble } from '../../ssh/proxy-preamble.ts';
import { challengeOf, isOurBanner, plainBanners } from '../../ssh/server-banner.ts';
import type { SignClient } from '../../ssh/signed-client.ts';

const ssh = 'SSH-';
/** Source: RFC 4253, 4.2. */
const maxBanner = 255;

/** What a server is by its first bytes: undefined while it may still become either. */
function kindOf(seen: string): 'ours' | 'ssh' | 'other' | undefined {
  if (isOurBanner(seen)) return 'ours';
  const lineGoesOn = !seen.includes('\n') && seen.length <= maxBanner;
  if (lineGoesOn && plainBanners.some((one) => one.startsWith(seen) || seen.startsWith(one)))
    return undefined;
  return seen.startsWith(ssh) ? 'ssh' : 'other';
}

/** The client for whom we dial, and how our statement about it is proven. */
export interface Introduction {
  readonly client: HostPort;
  /** The balancer that named the client; undefined: none did. */
  readonly balancer?: HostPort | undefined;
  /** UUID of the node that was dialled; undefined for a server that is not a node. */
  readonly hostId: string | undefined;
  readonly signClient: SignClient;
  /** UUID that the first session is to have; undefined: one that the node makes. */
  readonly session?: string | undefined;
}

/**
 * Signed when the server asks for it and is one of ours; older nodes do not ask, and read only the address.
 */
function preambleFor(
  banner: string,
  { client, balancer, hostId, signClient, session }: Introduction,
): Buffer {
  const challenge = challengeOf(banner);
  return proxyPreamble(
    challenge === undefined || hostId === undefined
      ? { client, proof: undefined }
      : signClient({ challenge, hostId, client, balancer, session }),
  );
}

/**
 * Waits for the first bytes of a server and sends it, when it is a node of ours, the client's true address,
 * before any byte of that client. The server's bytes are put back for the client to read. A server that does
 * not begin as SSH is refused, and in a node's place any SSH server but ours, so that no certificate gives
 * access to whatever else listens at the address that a node announced.
 * @throws CodedError `unavailable`, having destroyed the stream, when it is not an SSH server, ends, or sends
 *   nothing in time.
 */
export function greetNode(stream: Duplex, introduction: Introduction, timeoutMs = 10_000): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const settle = (): void => {
      stopTimer(limit);
      stream.off('readable', read).off('end', ended).off('error', ended).off('close', ended);
    };
    const fail = (why: string): void => {
      settle();
      stream.destroy();
      reject(new CodedError('unavailable', why));
    };
    const ended = (): void => {
      fail('the node closed the connection before it identified itself');
    };
    const limit = startTimer(() => {
      fail(`the node sent nothing within ${timeoutMs / 1000} s`);
    }, timeoutMs);
    const read = (): void => {
      for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null)
        seen = Buffer.concat([seen, chunk]);
      const banner = seen.toString('latin1');
      const kind = kindOf(banner);
      if (kind === undefined) return;
      if (kind === 'other') {
        fail('what answers there is not an SSH server');
        return;
      }
      if (kind === 'ssh' && introduction.hostId !== undefined) {
        fail('what answers there is an SSH server, but not a node of a cluster');
        return;
      }
      settle();
      if (kind === 'ours') stream.write(preambleFor(banner, introduction));
      stream.unshift(seen);
      resolve();
    };
    stream.on('readable', read).once('end', ended).once('error', ended).once('close', ended);
    if (stream.destroyed) ended();
    else read();
  });
}
