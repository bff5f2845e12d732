import type { Duplex } from 'node:stream';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import type { Asking } from '../../base/name-lookup.ts';
import type { HostPort } from '../../base/service.ts';
import type { DialAddress } from './dial.ts';
import { MuteServers } from './mute-servers.ts';

/**
 * A connection to the raw TLS port of an auth server, which authenticates the client by the client's own
 * certificate.
 * @throws CodedError `unavailable`
 */
export type OpenAuth = (asking: Asking) => Promise<Duplex>;

/** @param authServers where they are, the one that serves first. */
export function authOpener(authServers: () => readonly HostPort[], dialAddress: DialAddress): OpenAuth {
  const mute = new MuteServers();
  return async (asking) => {
    const failures: string[] = [];
    for (const server of mute.last(authServers())) {
      try {
        return mute.watch(server, await dialAddress(server, asking));
      } catch (e) {
        if (!isCoded(e, 'unavailable')) throw e;
        failures.push(messageOf(e));
      }
    }
    throw new CodedError('unavailable', `no auth server answers: ${failures.join('; ')}`);
  };
}
