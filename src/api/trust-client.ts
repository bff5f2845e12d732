import { second } from '../base/duration.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { caPinOf } from '../pki/ca-pin.ts';
import { readCertificate } from '../pki/x509.ts';
import { callOperation } from './call-operation.ts';
import { dialOneOf } from './dial-servers.ts';
import { httpOver } from './http-over.ts';
import { readClaimed } from './join-client.ts';
import type { InputOf, OutputOf } from './operation.ts';
import { establishTrust, followTrust } from './operations/trust.ts';
import { authServerName, type OpenThrough, serverOrProxy, tlsServer, unverifiedServer } from './tls-dial.ts';
import { inWords } from './tls-failures.ts';
import { authoritiesToTrust } from './trust-authorities.ts';

/** Auth servers of other clusters, as an auth server of this one asks them. */
export interface OtherClusters {
  /**
   * Asks a cluster whether it agrees to be trusted. The token goes only to the holder of an authority that a
   * pin leads to; without pins to whoever answers.
   * @returns also the pins of the authorities by which the one that answered was known.
   * @throws CodedError as whoever answered, or with why nobody did.
   */
  readonly establish: (
    at: { readonly server: HostPort; readonly pins: readonly string[] },
    asked: InputOf<typeof establishTrust>,
  ) => Promise<{ readonly answer: OutputOf<typeof establishTrust>; readonly knownBy: readonly string[] }>;
  /**
   * Reads what a cluster announces of its keys, and announces this one's. Nothing that is said needs a
   * connection that is verified. @throws CodedError
   */
  readonly follow: (
    server: HostPort,
    told: InputOf<typeof followTrust>,
  ) => Promise<OutputOf<typeof followTrust>>;
}

/** Somebody waits at a terminal, and the answer to that takes ten seconds at most. */
const limits = { timeoutMs: 5 * second, maxAnswerBytes: 1024 * 1024, attempts: 1 };

/**
 * Over TLS with auth servers; a proxy at the address passes it on to one, and cannot read it.
 * @param through how an address is reached; default: it is dialled.
 */
export function otherClusters(world: World, through: OpenThrough = serverOrProxy): OtherClusters {
  return {
    establish: async ({ server, pins }, asked) => {
      const signer = await readClaimed(server, {
        ...{ world, attempts: 1, greetingMs: limits.timeoutMs },
        through,
      });
      const ca = authoritiesToTrust({ server: formatHostPort(server), signer }, pins, world.now());
      const verified = tlsServer(server, { ca, serverName: authServerName }, through);
      const http = httpOver(dialOneOf([verified], world, { timeoutMs: limits.timeoutMs }), true);
      try {
        const answer = await callOperation(http, establishTrust, asked, world, limits);
        return { answer, knownBy: ca.map((pem) => caPinOf(readCertificate(pem).toString())) };
      } catch (e) {
        throw inWords(
          e,
          pins.length === 0 ? 'the authority it named' : 'an authority with a given pin',
          world.now(),
        );
      } finally {
        http.close();
      }
    },
    follow: async (server, told) => {
      const http = httpOver(
        dialOneOf([unverifiedServer(server, through)], world, { timeoutMs: limits.timeoutMs }),
        true,
      );
      try {
        return await callOperation(http, followTrust, told, world, limits);
      } catch (e) {
        throw inWords(e, 'anybody', world.now());
      } finally {
        http.close();
      }
    },
  };
}
